"""Long waits in topics of their own: nothing waits in the way of commits, and nothing is lost or forgotten on the long way."""

from __future__ import annotations

import os
import signal
import time
from datetime import datetime
from typing import TYPE_CHECKING, Callable, Dict, Iterator

import pytest

from kafka_worker.kafka.outgoing import outbox
from tests.support.eventually import eventually
from tests.support.messages import message

if TYPE_CHECKING:
    from tests.support.admin import Admin, Headers, Record
    from tests.support.engine import Engine
    from tests.support.service import Service

SECONDS = 40.0
AT_ONCE = 8.0  # seconds, on a busy machine; measured: 0.5
# Tasks that fail wait for 1 s, then for 2 s.
LONG_WAYS = {"retry_topics": ("1s",), "retry_backoff_seconds": 1.0, "max_attempts": 3}


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What could not be stored is sent again after a moment."""
    monkeypatch.setattr(outbox, "RESEND_SECONDS", 0.3)
    yield


def headers(record: Record) -> Dict[str, str]:
    return {name: bytes(value or b"").decode() for name, value in record.headers}  # type: ignore[arg-type]


def test_what_fails_takes_the_long_way_until_it_works_or_is_a_dead_letter_of_the_topic_it_came_from(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=1)
    long_way = admin.create_topic(name + ".retry.1s", partitions=2)
    letters = admin.create_topic(name + ".dlq", partitions=1)
    forged: Headers = [("retry.topic", name.encode()), ("retry.attempt", b"99"), ("theirs", b"1")]
    admin.produce(name, [message("first").row])
    admin.produce(name, [message("unlucky", key="a", trouble="raise", times=2).row])
    hopeless = message("hopeless", key="b", trouble="raise").row
    admin.produce(name, [(hopeless[0], hopeless[1], forged)])
    admin.produce(name, [message("follower", key="a").row])

    running = engine(name, group, **LONG_WAYS).start()

    admin.wait_committed(group, name)
    assert running.ledger.done() == ["first", "follower"]  # all is committed while the others wait
    eventually(lambda: "unlucky" in running.ledger.done(), SECONDS, "the third attempt works")
    eventually(lambda: admin.records(letters), SECONDS, "the other one is a dead letter")
    admin.wait_committed(group, long_way)
    assert {each: running.ledger.attempts(each) for each in ("unlucky", "hopeless")} == {
        "unlucky": [1, 2, 3],
        "hopeless": [1, 2, 3],
    }
    entries = [entry for entry in running.ledger.of("start") if entry.id == "unlucky"]
    assert {(entry.partition, entry.offset) for entry in entries} == {(0, 1)}  # that of its first topic
    assert entries[1].at - entries[0].at >= 1.0
    assert entries[2].at - entries[1].at >= 2.0
    assert [headers(record)["retry.attempt"] for record in admin.records(long_way)].count("3") == 2
    (letter,) = admin.records(letters)
    told = headers(letter)
    assert {each: told["dead-letter." + each] for each in ("topic", "partition", "offset", "attempts")} == {
        "topic": name, "partition": "0", "offset": "2", "attempts": "3",
    }  # fmt: skip
    assert told["theirs"] == "1"
    assert not [each for each in told if each.startswith("retry.")]
    first, last = (datetime.fromisoformat(told[f"dead-letter.{which}-failed-at"]) for which in ("first", "last"))
    assert 3.0 <= (last - first).total_seconds() < 10.0


def test_a_process_that_is_killed_while_a_message_takes_the_long_way_costs_neither_message_nor_attempt(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    name = topic(partitions=1)
    long_way = admin.create_topic(name + ".retry.1s", partitions=1)
    admin.produce(name, [message("unlucky", trouble="later", times=1).row, message("good").row])
    running = service(name, group, processes=1, env={"RETRY_TOPICS": "1s"}).start()
    eventually(lambda: admin.committed(group, name) == {0: 2}, SECONDS, "it is on the long way")

    os.kill(running.children()[0], signal.SIGKILL)

    eventually(lambda: "unlucky" in running.ledger.done(), SECONDS, "it is done")
    admin.wait_committed(group, long_way)
    assert running.ledger.attempts("unlucky") == [1, 2]


def test_a_stop_does_not_wait_for_what_sleeps_in_a_retry_topic_and_leaves_it_there(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=1)
    long_way = admin.create_topic(name + ".retry.1s", partitions=1)
    admin.produce(name, [message("unlucky", trouble="raise", times=1).row])
    far = {**LONG_WAYS, "retry_backoff_seconds": 600.0, "retry_backoff_max_seconds": 600.0}
    running = engine(name, group, **far).start()
    admin.wait_committed(group, name)
    eventually(lambda: running.loop.report.retrying == 1, SECONDS, "it has come back, and waits")

    asked = time.monotonic()
    running.stop(drain_seconds=60.0)

    assert time.monotonic() - asked < AT_ONCE
    assert admin.lag(group, long_way) == 1


def test_what_is_due_soon_is_not_kept_waiting_by_what_is_due_in_hours_in_the_same_topic(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=1)
    long_way = admin.create_topic(name + ".retry.1s", partitions=1)
    far = [message(f"far-{number}", key=str(number), trouble="far").row for number in range(20)]
    admin.produce(name, far)

    running = engine(name, group, max_in_flight=8, **LONG_WAYS).start()
    admin.wait_committed(group, name)
    admin.produce(name, [message("soon", key="soon", trouble="later", times=1).row])

    eventually(lambda: running.ledger.done() == ["soon"], SECONDS, "it is done")
    waiting = {headers(record)["retry.offset"]: headers(record) for record in admin.records(long_way)}
    assert running.ledger.attempts("soon") == [1, 2]
    assert all(running.ledger.attempts(f"far-{number}") == [1] for number in range(20))
    assert [waiting[str(number)]["retry.attempt"] for number in range(20)] == ["2"] * 20
    assert all(float(told["retry.due-at"]) / 1000 - time.time() > 3000 for at, told in waiting.items() if int(at) < 20)


@pytest.mark.usefixtures("_soon")
def test_a_missing_retry_topic_holds_the_partition_until_it_is_made(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine], caplog: pytest.LogCaptureFixture
) -> None:
    name = topic(partitions=1)
    admin.produce(name, [message("unlucky", trouble="raise", times=1).row])
    running = engine(
        name, group, producer_properties={"topic.metadata.propagation.max.ms": "500"},
        consumer_properties={"topic.metadata.refresh.interval.ms": "500"}, **LONG_WAYS,
    ).start()  # fmt: skip
    eventually(lambda: running.held() & running.paused(), SECONDS, "it is held")
    assert f"its retry could not be stored in {name}.retry.1s" in caplog.text

    admin.create_topic(name + ".retry.1s", partitions=1)

    eventually(lambda: running.ledger.done() == ["unlucky"], SECONDS, "it is done")
    admin.wait_committed(group, name)
    assert running.ledger.attempts("unlucky") == [1, 2]
    eventually(lambda: not running.held() | running.paused(), SECONDS, "nothing is held")
