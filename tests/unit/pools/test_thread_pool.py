"""With real handler threads."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any, List
from unittest.mock import Mock

import pytest

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


@pytest.mark.parametrize("queues", [1, 4])
def test_all_threads_work_together_again_and_again_though_only_one_is_woken_by_who_brings_the_tasks(queues: int) -> None:
    together = threading.Barrier(4)
    works = [Work(200) for _ in range(queues)]
    with started(Pool(4, lambda *_: together.wait(5))) as pool:
        pool.serve([work.partition.queue for work in works])
        for round_ in range(40):
            for number in range(4):
                work = works[number % queues]
                work.partition.queue.extend([work.task(4 // queues * round_ + number // queues)])
            pool.wake(4)
            eventually(partial(all_done, pool, 4 * (round_ + 1), together), 6, "all have met")

    assert not together.broken


def all_done(pool: Pool, tasks: int, together: threading.Barrier) -> bool:
    return together.broken or sum(thread.done for thread in pool.threads) == tasks


def test_who_brings_tasks_wakes_one_thread_and_who_was_woken_wakes_another_only_if_there_is_more() -> None:
    tokens = []
    for tasks in ([1, 0], [2, 0], [1, 1]):
        pool, works = Pool(4, lambda *_: None), [Work(9), Work(9)]
        pool.serve([work.partition.queue for work in works])
        for work, count in zip(works, tasks):
            work.partition.queue.extend([work.task(offset) for offset in range(count)])
        pool.wake(sum(tasks))
        pool.wake(1)
        brought = pool._tokens.qsize()
        pool._tokens.get()
        others = pool._served.filled(-1)
        next(others)
        pool._serve_within(pool.threads[0], works[0].partition.queue, others)
        tokens.append((brought, pool._tokens.qsize()))

    assert tokens == [(1, 0), (1, 1), (1, 1)]


def test_what_a_thread_leaves_in_a_queue_is_not_left_lying_while_it_is_in_a_long_call() -> None:
    """A follower, that comes free in the last moment of its turn, while all other threads sleep."""
    lane, other, follower_ran = Work(2), Work(1), threading.Event()

    def call(message: Any, partition: Partition, _attempt: int) -> None:
        if partition is other.partition:
            assert follower_ran.wait(5)
        elif message.offset() == 0:
            other.partition.queue.extend([other.task(0)])  # whose token another thread has had already
            threading.Event().wait(0.006)  # longer than a turn
        else:
            follower_ran.set()

    with started(Pool(2, call)) as pool:
        pool.serve([lane.partition.queue, other.partition.queue])
        eventually(pool.idle.is_set, 5, "all have looked")
        lane.partition.queue.extend(lane.in_one_lane())
        pool.wake(1)
        eventually(lambda: other.watermark == 1, 6, "the long call ends")

    assert sum(thread.failed for thread in pool.threads) == 0


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


def test_a_pool_for_which_there_is_no_thread_more_goes_on_with_those_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(2, lambda *_: None)
    monkeypatch.setattr("threading.Thread.start", Mock(side_effect=[None, RuntimeError("can't start new thread")]))

    pool.resize(5)

    assert (pool.limit, len(pool.threads)) == (3, 3)


def test_nothing_is_left_lying_however_often_the_pool_is_resized() -> None:
    """What a thread was woken for must be taken by another when it rests."""
    work = Work(1000)
    with started(Pool(4, lambda *_: None)) as pool:
        for offset in range(1000):
            pool.resize(1 + offset % 4)
            work.give(pool, work.task(offset))
        eventually(lambda: work.watermark == 1000, 5, "all are done")
