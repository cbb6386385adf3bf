"""What a member owes the group, and everybody else, while it waits for tasks that run: in a rebalance, and in its drain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Dict, List, Tuple

from kafka_worker.draining.stopping import Stop
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.system.deadline import Deadline
from tests.support.eventually import eventually
from tests.support.messages import Sent, keys_of, message

if TYPE_CHECKING:
    import pytest

    from tests.support.admin import Admin
    from tests.support.engine import Engine

SECONDS = 30.0
LONG_MS = 8000
STEPS, STEP_MS = 6, 400  # of the tasks that go on beside a long one
BACKLOG = 5000
DELIVERED_AT_MOST = 500  # messages, before a partition is paused


def steps_beside_a_long_one(number: int) -> Tuple[List[Sent], List[Sent]]:
    """For a partition of two: tasks of one key, one after the other, and a long one behind them."""
    first, second = keys_of(number, 2, count=2)
    steps = [message(f"step-{number}-{step}", first, step, sleep_ms=STEP_MS) for step in range(STEPS)]
    return steps, [message(f"long-{number}", second, sleep_ms=LONG_MS)]


def started(running: Engine, prefix: str) -> List[str]:
    return [entry.id for entry in running.ledger.of("start") if entry.id.startswith(prefix)]


def ended(running: Engine, prefix: str) -> List[str]:
    return [name for name in running.ledger.done() if name.startswith(prefix)]


def test_while_a_rebalance_waits_for_a_long_task_what_is_done_is_committed_whether_it_stays_or_goes(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=2)
    first = engine(name, group, "first", ordering="key").start()
    for number in range(2):
        steps, long = steps_beside_a_long_one(number)
        admin.produce(name, [each.row for each in steps + long])
    eventually(lambda: len(started(first, "long")) == 2, SECONDS, "both long tasks run")

    engine(name, group, "second", ordering="key").start(wait=False)
    eventually(
        lambda: any(each.closing.closed for each in first.loop._ownership.assignment), SECONDS, "a partition is taken away"
    )
    at_first = len(ended(first, "step"))

    beside: Dict[int, int] = dict.fromkeys(range(2), STEPS)
    eventually(lambda: admin.committed(group, name) == beside, LONG_MS / 2000 + SECONDS, "all steps are committed")
    assert at_first < 2 * STEPS, "the steps were done too soon to show anything"
    assert not ended(first, "long"), "it was committed only when the wait was over"


def test_a_partition_that_comes_in_the_middle_of_a_drain_is_neither_fetched_nor_started(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine], caplog: pytest.LogCaptureFixture
) -> None:
    name = topic(partitions=2)
    first, second = (engine(name, group, each, max_in_flight=10).start() for each in ("first", "second"))
    eventually(lambda: [len(each.loop.report.partitions) for each in (first, second)] == [1, 1], SECONDS, "one partition each")
    theirs = second.loop.report.partitions[0].partition
    mine_key, theirs_key = keys_of(1 - theirs, 2)[0], keys_of(theirs, 2)[0]
    admin.produce(name, [message("long", mine_key, sleep_ms=LONG_MS).row])
    admin.produce(name, [message(f"theirs-{n}", theirs_key, n, sleep_ms=STEP_MS).row for n in range(BACKLOG)])
    eventually(lambda: started(first, "long") and started(first, "theirs"), SECONDS, "both work")

    caplog.set_level("INFO")
    first.loop.stop(Stop(Deadline(SECONDS), leave=True))
    second.stop(drain_seconds=0.0)
    before = len(started(first, "theirs"))
    eventually(lambda: f"Assigned: {name}[{theirs}]" in caplog.text, SECONDS, "the one that drains gets the partition")
    early = not ended(first, "long")
    first.stop(drain_seconds=SECONDS)

    assert early, "the drain was over too soon to show anything"
    assert first.code is ExitCode.OK
    assert len(started(first, "theirs")) == before
    assert first.loop.report.dropped <= DELIVERED_AT_MOST
    assert [each.partition for each in first.loop.report.partitions] == [1 - theirs]
