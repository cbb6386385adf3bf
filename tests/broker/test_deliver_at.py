"""Messages with a time: each is handled then and not before, wherever it waits and whoever has its partition."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Callable, List, Optional

from kafka_worker.shared.foreign.deliver_at import HEADER, written
from kafka_worker.shared.ipc.snapshot import HeadReport, Waits
from tests.support.eventually import eventually
from tests.support.messages import message

if TYPE_CHECKING:
    from tests.support.admin import Admin, Record, Row
    from tests.support.engine import Engine

SECONDS = 40.0
AHEAD_SECONDS = 4.0
SCHEDULES = {"deliver_at_max_seconds": 3600.0}
NAMES = ("early", "follower", "other")


def rows(service: str, at: float) -> List[Row]:
    """One that waits, its follower, one of another key, and two that can't be waited for."""
    told = {"early": written(at), "follower": "", "other": "", "odd": "tomorrow", "far": written(at + 7200)}
    found: List[Row] = []
    for name, value in told.items():
        key, payload, _ = message(f"{service}-{name}", key="k" if name in ("early", "follower") else name).row
        found.append((key, payload, [(HEADER, value.encode())] if value else None))
    return found


def head(running: Engine) -> Optional[HeadReport]:
    """That of its only partition."""
    return next((each.head for each in running.loop.report.partitions), None)


def error_of(letter: Record) -> str:
    error = dict(letter.headers)["dead-letter.error"]
    assert isinstance(error, bytes)
    return error.decode()


def test_a_message_is_handled_at_its_time_and_not_before_through_a_change_of_hands_or_by_way_of_retry_topics(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    here, long_way = topic(partitions=1), topic(partitions=1)
    letters = [admin.create_topic(name + ".dlq", partitions=1) for name in (here, long_way)]
    retries = admin.create_topic(long_way + ".retry.1s", partitions=1)
    first = engine(here, group, **SCHEDULES).start()
    engine(long_way, group + "-long", name="engine-1", retry_topics=("1s",), **SCHEDULES).start()
    wall, due = time.time() + AHEAD_SECONDS, time.monotonic() + AHEAD_SECONDS
    admin.produce(here, rows("here", wall))
    admin.produce(long_way, rows("long", wall))

    eventually(lambda: "here-other" in first.ledger.done(), SECONDS, "another key goes on")
    eventually(lambda: head(first) and head(first).waits is Waits.SCHEDULED, SECONDS, "its partition waits for its time")  # type: ignore[union-attr]
    seen = head(first)
    first.stop()
    engine(here, group, name="engine-2", **SCHEDULES).start()
    admin.wait_committed(group + "-long", long_way)
    admin.wait_committed(group, here)
    eventually(lambda: admin.end_offsets(retries) == {0: 1}, SECONDS, "it takes the long way")
    admin.wait_committed(group + "-long", retries)

    assert seen
    assert (seen.offset, seen.why) == (0, written(wall))
    begun = {entry.id: entry.at - due for entry in first.ledger.of("start")}
    assert [first.ledger.attempts(f"{service}-{name}") for service in ("here", "long") for name in NAMES] == [[1]] * 6
    assert begun["here-early"] > -0.05
    assert begun["long-early"] > -0.05
    assert begun["here-follower"] > begun["here-early"]  # it waits with its key
    assert begun["long-follower"] < 0
    for name in letters:
        errors = sorted(map(error_of, admin.records(name)))
        assert [error.split(",")[0] for error in errors] == [
            "InvalidMessageError: its header deliver-at is not a time like 2030-01-31T08:00:00Z",
            "InvalidMessageError: the time of its header deliver-at",
        ]
        assert errors[1].endswith("is further ahead than DELIVER_AT_MAX_SECONDS = 3600")
