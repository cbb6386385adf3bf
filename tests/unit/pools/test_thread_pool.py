"""With real handler threads."""

from __future__ import annotations

import threading
from typing import Any, List

from kafka_worker.partitions.assignment import Partition
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.shared.ipc.snapshot import BUCKETS
from tests.support.ending import started
from tests.support.eventually import eventually
from tests.unit.pools.kinds import Work


def test_every_task_is_called_once_with_its_partition_and_attempt() -> None:
    calls: List[Any] = []
    work = Work(200)
    with started(Pool(3, lambda message, partition, attempt: calls.append((message.offset(), partition, attempt)))) as pool:
        work.give(pool, *[work.task(offset, attempt=2) for offset in range(200)])
        eventually(lambda: work.watermark == 200, 5, "all are done")

    assert sorted(call[0] for call in calls) == list(range(200))
    assert {call[1:] for call in calls} == {(work.partition, 2)}


def test_as_many_handlers_run_at_once_as_there_are_threads() -> None:
    together = threading.Barrier(3)
    work = Work(3)
    with started(Pool(3, lambda *_: together.wait(5))) as pool:
        work.give_all(pool)
        eventually(lambda: work.watermark == 3 or together.broken, 6, "all have met")

    assert not together.broken


def test_every_call_is_counted_in_one_bucket_of_the_histogram() -> None:
    work = Work(50)
    with started(Pool(2, lambda *_: None)) as pool:
        work.give_all(pool)
        eventually(lambda: sum(map(sum, counts(pool))) == 50, 5, "all are counted")

    assert sum(thread.done for thread in pool.threads) == 50
    assert set(map(len, counts(pool))) == {len(BUCKETS)}


def counts(pool: Pool) -> List[List[int]]:
    return [times.counts for thread in pool.threads for times in thread.times.copy().values()]


def test_a_busy_partition_does_not_keep_another_waiting() -> None:
    release = threading.Event()
    busy, other = Work(1000), Work(1)

    def call(_message: Any, partition: Partition, _attempt: int) -> None:
        if partition is busy.partition:
            release.wait(0.006)  # longer than a turn

    with started(Pool(1, call)) as pool:
        pool.serve([busy.partition.queue, other.partition.queue])
        busy.partition.queue.extend([busy.task(offset) for offset in range(1000)])
        other.partition.queue.extend([other.task(0)])
        pool.wake(1001)
        eventually(lambda: other.watermark == 1, 5, "the other partition has its turn")
        left = len(busy.partition.queue)
        release.set()

    assert left > 900


class Crowd:
    """Handlers that stay inside until they are let go, and how many are inside."""

    def __init__(self) -> None:
        self.door = threading.Event()
        self.inside = 0
        self._lock = threading.Lock()

    def __call__(self, *_: Any) -> None:
        with self._lock:
            self.inside += 1
        self.door.wait(5)
        with self._lock:
            self.inside -= 1


def test_a_pool_that_grows_takes_up_what_waits_without_being_woken() -> None:
    crowd, work = Crowd(), Work(4)
    with started(Pool(1, crowd)) as pool:
        work.give_all(pool)
        eventually(lambda: crowd.inside == 1, 5, "the only thread has a task")
        waiting = pool.waiting

        pool.resize(4)

        eventually(lambda: crowd.inside == 4, 5, "all threads have one")
        assert (waiting, pool.waiting) == (True, False)
        crowd.door.set()
        eventually(lambda: work.watermark == 4, 5, "all are done")


def test_surplus_threads_rest_and_take_nothing_until_the_pool_grows_again() -> None:
    crowd, work = Crowd(), Work(12)
    with started(Pool(4, crowd)) as pool:
        work.give(pool, *[work.task(offset) for offset in range(4)])
        eventually(lambda: crowd.inside == 4, 5, "all threads have one")
        pool.resize(2)
        crowd.door.set()
        eventually(lambda: work.watermark == 4 and not pool.running(), 5, "these are done")
        crowd.door.clear()
        work.give(pool, *[work.task(offset) for offset in range(4, 12)])
        eventually(lambda: crowd.inside == 2, 5, "those that do not rest have one")
        names = {thread.name for thread, _ in pool.running()}
        pool.resize(3)
        eventually(lambda: crowd.inside == 3, 5, "one more has one")
        crowd.door.set()
        eventually(lambda: work.watermark == 12, 5, "all are done")

    assert names == {"handler-0", "handler-1"}


def test_nothing_is_left_lying_however_often_the_pool_is_resized() -> None:
    """What a thread was woken for must be taken by another when it rests."""
    work = Work(1000)
    with started(Pool(4, lambda *_: None)) as pool:
        for offset in range(1000):
            pool.resize(1 + offset % 4)
            work.give(pool, work.task(offset))
        eventually(lambda: work.watermark == 1000, 5, "all are done")
