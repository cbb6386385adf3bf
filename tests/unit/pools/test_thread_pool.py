"""With real handler threads."""

from __future__ import annotations

import threading
from typing import Any, List, Optional

import pytest

from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.lanes import Lane
from kafka_worker.partitions.task import Task
from kafka_worker.partitions.tracker import Segment
from kafka_worker.partitions.undecided import Raised
from kafka_worker.pools.thread_pool import BUCKETS, Pool
from tests.support.eventually import eventually
from tests.unit.fakes import Message, in_words, started


class Work:
    """A partition with some tasks in flight."""

    def __init__(self, count: int) -> None:
        self.partition = Partition("topic", 0)
        self.segment: Segment = self.partition.tracker.take(0, count)[0]

    def task(self, offset: int, lane: Optional[Lane] = None, attempt: int = 1) -> Task:
        return offset, self.segment, Message(offset), lane, attempt, self.partition

    def give(self, pool: Pool, *tasks: Task) -> None:
        pool.serve([self.partition.queue])
        self.partition.queue.extend(tasks)
        pool.wake(len(tasks))

    @property
    def watermark(self) -> int:
        return self.partition.tracker.watermark()


def test_every_task_is_called_once_with_its_partition_and_attempt() -> None:
    calls: List[Any] = []
    work = Work(200)
    with started(3, lambda message, partition, attempt: calls.append((message.offset(), partition, attempt))) as pool:
        work.give(pool, *[work.task(offset, attempt=2) for offset in range(200)])
        eventually(lambda: work.watermark == 200, 5, "all are done")

    assert sorted(call[0] for call in calls) == list(range(200))
    assert {call[1:] for call in calls} == {(work.partition, 2)}


def test_as_many_handlers_run_at_once_as_there_are_threads() -> None:
    together = threading.Barrier(3)
    work = Work(3)
    with started(3, lambda *_: together.wait(5)) as pool:
        work.give(pool, *[work.task(offset) for offset in range(3)])
        eventually(lambda: work.watermark == 3 or together.broken, 6, "all have met")

    assert not together.broken


def test_what_runs_can_be_seen_while_it_runs_and_not_after() -> None:
    begun, release = threading.Event(), threading.Event()
    work = Work(1)
    with started(1, lambda *_: begun.set() or release.wait(5)) as pool:  # type: ignore[func-returns-value]
        work.give(pool, work.task(0))
        begun.wait(5)
        during = [(thread.name, task[0]) for thread, task in pool.running()]
        release.set()
        eventually(lambda: not pool.running(), 5, "nothing runs")

    assert during == [("handler-0", 0)]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), KeyboardInterrupt()])
def test_whatever_a_handler_raises_is_a_failure_of_its_task_and_the_thread_goes_on(error: BaseException) -> None:
    def call(message: Any, _partition: Partition, _attempt: int) -> None:
        if message.offset() == 0:
            raise error

    work = Work(2)
    with started(1, call) as pool:
        work.give(pool, work.task(0), work.task(1))
        eventually(lambda: pool.threads[0].done == 1, 5, "the second is done")

    (raised,) = pool.undecided
    assert isinstance(raised, Raised)
    assert (raised.task[0], in_words(raised.error)) == (0, in_words(error))
    assert (pool.threads[0].failed, work.watermark) == (1, 0)


def test_the_follower_in_a_lane_runs_after_success_and_not_after_failure() -> None:
    def call(message: Any, _partition: Partition, _attempt: int) -> None:
        if message.offset() == 1:
            raise ValueError

    work, lane = Work(3), Lane()
    with started(2, call) as pool:
        lane.admit(work.task(0, lane))
        for offset in (1, 2):
            lane.admit(work.task(offset, lane))
        work.give(pool, work.task(0, lane))
        eventually(lambda: len(pool.undecided) == 1 and not pool.running(), 5, "the second has failed")

    assert work.watermark == 1
    assert not lane.idle


def test_tasks_of_a_closed_partition_start_only_below_its_frontier() -> None:
    work = Work(4)
    work.partition.closing.close(None)
    work.partition.closing.frontier = 2
    with started(1, lambda *_: None) as pool:
        work.give(pool, *[work.task(offset) for offset in range(4)])
        eventually(lambda: len(pool.parked) == 2 and not pool.running(), 5, "the rest is parked")

    assert [task[0] for task in pool.parked] == [2, 3]
    assert work.watermark == 2


def test_what_ends_after_its_partition_went_away_is_counted_as_stale() -> None:
    begun, release = threading.Event(), threading.Event()
    work = Work(1)
    with started(1, lambda *_: begun.set() or release.wait(5)) as pool:  # type: ignore[func-returns-value]
        work.give(pool, work.task(0))
        begun.wait(5)
        work.partition.closing.forget()
        release.set()
        eventually(lambda: pool.threads[0].stale == 1, 5, "the end is noted")


def test_every_call_is_counted_in_one_bucket_of_the_histogram() -> None:
    work = Work(50)
    with started(2, lambda *_: None) as pool:
        work.give(pool, *[work.task(offset) for offset in range(50)])
        eventually(lambda: sum(sum(thread.histogram) for thread in pool.threads) == 50, 5, "all are counted")

    assert sum(thread.done for thread in pool.threads) == 50
    assert {len(thread.histogram) for thread in pool.threads} == {len(BUCKETS) + 1}


def test_a_busy_partition_does_not_keep_another_waiting() -> None:
    release = threading.Event()
    busy, other = Work(1000), Work(1)

    def call(_message: Any, partition: Partition, _attempt: int) -> None:
        if partition is busy.partition:
            release.wait(0.006)  # longer than a turn

    with started(1, call) as pool:
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
    with started(1, crowd) as pool:
        work.give(pool, *[work.task(offset) for offset in range(4)])
        eventually(lambda: crowd.inside == 1, 5, "the only thread has a task")
        waiting = pool.waiting

        pool.resize(4)

        eventually(lambda: crowd.inside == 4, 5, "all threads have one")
        assert (waiting, pool.waiting) == (True, False)
        crowd.door.set()
        eventually(lambda: work.watermark == 4, 5, "all are done")


def test_surplus_threads_rest_and_take_nothing_until_the_pool_grows_again() -> None:
    crowd, work = Crowd(), Work(12)
    with started(4, crowd) as pool:
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
    with started(4, lambda *_: None) as pool:
        for offset in range(1000):
            pool.resize(1 + offset % 4)
            work.give(pool, work.task(offset))
        eventually(lambda: work.watermark == 1000, 5, "all are done")
