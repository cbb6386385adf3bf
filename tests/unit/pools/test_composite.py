"""Several kinds of handler in one process."""

from __future__ import annotations

import time
from typing import Any, List

import pytest

from kafka_worker.handler.routing import Handlers
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.closing import Closing
from kafka_worker.partitions.tracker import Tracker
from kafka_worker.partitions.undecided import Raised
from kafka_worker.pools import composite, scheduled
from kafka_worker.pools.async_pool import AsyncPool
from kafka_worker.pools.batch_pool import BatchPool
from kafka_worker.pools.runner import Runner
from kafka_worker.pools.thread_pool import Pool
from tests.support.ending import made_to_end
from tests.support.eventually import eventually
from tests.unit.fakes import Message, some_settings

HERE = __name__
calls: List[Any] = []


def one(message: Any) -> None:
    calls.append(("one", message))


async def coroutine(message: Any) -> None:
    calls.append(("coroutine", message))


def batch(messages: List[Any]) -> None:
    calls.append(("batch", messages))


def built(*entries: str, **changes: Any) -> Runner:
    settings = some_settings(handlers=tuple(f"{entry[0]}={HERE}:{entry[2:]}" for entry in entries), **changes)
    return composite.build(settings, Handlers(settings).usable())


def test_one_kind_stands_alone() -> None:
    assert [type(built(f"a={name}")) for name in ("one", "coroutine", "batch")] == [Pool, AsyncPool, BatchPool]
    assert type(built("a=one", "b=one")) is Pool


def test_a_message_with_a_time_of_its_own_is_late_from_then_on() -> None:
    message = Message(0)
    message.given_timestamp, message.given_headers = (1, 5_000), [("deliver-at", b"1970-01-01T01:00Z")]

    pools = [built("a=one"), built("a=one", deliver_at_max_seconds=1.0)]
    since = [pool.since(message) for pool in pools if type(pool) is Pool]
    message.given_headers = []

    assert since == [5.0, 3600.0]
    assert scheduled.since(message) == 5.0


def test_each_topics_tasks_go_to_the_pool_of_its_kind(request: pytest.FixtureRequest) -> None:
    calls.clear()
    pool = built("a=one", "b=coroutine", "c=batch")
    end = made_to_end(pool)
    partitions = [Partition(topic, 0) for topic in "abcd"]
    pool.start()
    request.addfinalizer(end)
    pool.serve([partition.queue for partition in partitions])
    for partition in partitions:
        partition.queue.extend([(0, partition.tracker.take(0)[0], Message(0, value=b"7"), None, 1, partition)])
    pool.wake(4)
    eventually(lambda: [p.tracker.watermark() for p in partitions] == [1, 1, 1, 0] and pool.undecided, 5, "three are done")

    assert sorted(calls) == [("batch", [7]), ("coroutine", 7), ("one", 7)]
    (raised,) = pool.undecided
    assert isinstance(raised, Raised)
    assert str(raised.error) == "no entry of HANDLERS matches d"
    assert sum(thread.done for thread in pool.threads) == 3
    assert {thread.name for thread in pool.threads} == {"handler-0", "handler-1", "batch-0", "batch-1", "event-loop"}


def test_several_pools_offer_what_every_pool_can_do_and_nothing_that_only_one_can() -> None:
    """`waiting` and `resize` are asked of the one that is tuned."""
    pool = built("a=one", "b=coroutine")
    asked = {name for name in {*dir(Runner), *Runner.__annotations__} if not name.startswith("_")}

    assert {name for name in dir(pool) if not name.startswith("_")} == asked
    assert all(hasattr(pool, name) for name in asked)
    assert type(pool.tuned) is Pool


class Watched(Closing):
    """Notes at each look at `closed`, which follows the note of a task, since when that task runs as far as the pool says."""

    is_closed = False

    def __init__(self, tracker: Tracker, pool: Runner) -> None:
        self.pool = pool
        self.seen: List[float] = []
        super().__init__(tracker)

    def _look(self) -> bool:
        newest = self._tracker.next_offset - 1
        self.seen += [thread.started for thread, task in self.pool.running() if task[0] == newest]
        return self.is_closed

    closed = property(_look, lambda self, value: setattr(self, "is_closed", value))


@pytest.mark.parametrize("kind", ["one", "coroutine", "batch"])
def test_no_task_is_ever_seen_with_the_beginning_of_another(kind: str, request: pytest.FixtureRequest) -> None:
    """Else a call that has just begun could be taken for one that hangs."""
    pool = built("a=" + kind)
    end, partition = made_to_end(pool), Partition("a", 0)
    partition.closing = watched = Watched(partition.tracker, pool)
    pool.start()
    request.addfinalizer(end)
    pool.serve([partition.queue])
    for offset in range(4):
        watched.seen.clear()
        given = time.monotonic()
        # Of the last two one was tried before, and is called apart from its batch.
        segment, message = partition.tracker.take(offset)[0], Message(offset, value=b"7")
        partition.queue.extend([(offset, segment, message, None, 1 + offset // 2, partition)])
        pool.wake(1)
        eventually(lambda offset=offset: partition.tracker.watermark() == offset + 1, 5, "it is done")  # type: ignore[misc]

        assert watched.seen
        assert min(watched.seen) >= given
