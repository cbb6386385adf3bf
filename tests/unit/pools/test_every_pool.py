"""What all kinds of pools promise, each with real threads."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from typing import Any, Callable, ContextManager, List, Optional

import pytest

from kafka_worker.partitions.task import Attempt
from kafka_worker.partitions.tracker import RUNNING
from kafka_worker.partitions.undecided import Raised, Returned
from kafka_worker.pools.scheduled import NotYetError
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.pools.times import Times
from kafka_worker.shared.foreign.answers import Send
from kafka_worker.shared.foreign.errors import described
from kafka_worker.shared.ipc.snapshot import BUCKETS
from tests.support.ending import started
from tests.support.eventually import eventually
from tests.unit.pools.kinds import KINDS, Act, Wait, Work

Start = Callable[..., ContextManager[Pool]]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def running(kind: str) -> Start:
    """A pool of that kind, until the end of the block: its handler waits, then acts."""

    def start(act: Act = lambda _offset: None, wait: Wait = lambda: None) -> ContextManager[Pool]:
        return started(KINDS[kind](act, wait))

    return start


def nothing_runs(pool: Pool) -> bool:
    return not pool.running()


class FalseError(Exception):
    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize(
    "error", [ValueError("no"), SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError(), FalseError()]
)
def test_whatever_a_handler_raises_is_a_failure_of_its_task_and_the_pool_goes_on(running: Start, error: BaseException) -> None:
    def act(offset: int) -> None:
        if offset == 0:
            raise error

    work = Work(2)
    with running(act) as pool:
        work.give_all(pool)
        eventually(lambda: work.segment.last_done() == 1 and pool.undecided and nothing_runs(pool), 5, "the second is done")

    (raised,) = pool.undecided
    assert isinstance(raised, Raised)
    assert (raised.task[0], described(raised.error), work.watermark) == (0, described(error), 0)
    assert [sum(thread.done for thread in pool.threads), sum(thread.failed for thread in pool.threads)] == [1, 1]


def test_what_runs_is_seen_by_its_place_and_flagged_in_the_journal_and_not_after(running: Start, kind: str) -> None:
    release = threading.Event()
    work = Work(2)
    with running(wait=lambda: release.wait(5)) as pool:
        work.give_all(pool)
        eventually(lambda: work.segment.seen() == bytes([RUNNING] * 2), 5, "both run")
        names = {thread.name for thread, _task in pool.running()}
        offsets = sorted(task[0] for _thread, task in pool.running())
        release.set()
        eventually(lambda: nothing_runs(pool), 5, "nothing runs")

    places = {"threads": {"handler-0", "handler-1"}, "coroutines": {"coroutine-0", "coroutine-1"}, "batches": {"batch-0"}}
    assert (names, offsets) == (places[kind], [0, 1])


def test_the_follower_in_a_lane_runs_after_success_and_not_after_failure(running: Start) -> None:
    def act(offset: int) -> None:
        if offset == 1:
            raise ValueError

    work = Work(3)
    with running(act) as pool:
        lanes = work.give_in_one_lane(pool)
        eventually(lambda: len(pool.undecided) == 1 and nothing_runs(pool), 5, "the second has failed")

    assert work.watermark == 1
    assert [task[0] for task in lanes.values()] == [2]


def test_what_is_to_be_sent_keeps_the_task_in_flight_and_its_key_waiting(running: Start) -> None:
    work = Work(2)
    with running(lambda _offset: Send("t", 1)) as pool:
        work.give_in_one_lane(pool)
        eventually(lambda: pool.undecided and nothing_runs(pool), 5, "the call has returned")

    (returned,) = pool.undecided
    assert isinstance(returned, Returned)
    assert ([task[0] for task in returned.tasks], [send.topic for send in returned.sends]) == ([0], ["t"])
    assert (work.watermark, work.segment.seen()) == (0, bytes(2))


def test_tasks_of_a_closed_partition_start_only_below_its_frontier(running: Start) -> None:
    work = Work(4)
    work.partition.closing.close(None)
    work.partition.closing.frontier = 2
    with running() as pool:
        work.give_all(pool)
        eventually(lambda: len(pool.kept_back) == 2 and nothing_runs(pool), 5, "the rest is kept back")

    assert [task[0] for task in pool.kept_back] == [2, 3]
    assert work.watermark == 2


def test_what_ends_after_its_partition_went_away_is_counted_as_stale(running: Start) -> None:
    begun, release = threading.Event(), threading.Event()

    def wait() -> Optional[Any]:
        begun.set()
        return release.wait(5)

    work = Work(1)
    with running(wait=wait) as pool:
        work.give_all(pool)
        begun.wait(5)
        work.partition.closing.forget()
        release.set()
        eventually(lambda: sum(thread.stale for thread in pool.threads) == 1, 5, "the end is noted")


def test_a_message_whose_time_has_not_come_was_not_called_and_counts_as_no_call(running: Start) -> None:
    def act(offset: int) -> None:
        if offset == 0:
            raise NotYetError(time.time() + 60)

    work = Work(2)
    with running(act) as pool:
        for offset in (0, 1):
            task = work.task(offset)
            task[2].given_timestamp = (1, int(time.time() * 1000))
            work.give(pool, task)
        eventually(lambda: work.segment.last_done() == 1 and pool.undecided and nothing_runs(pool), 5, "the second is done")
        eventually(lambda: sum(sum(times.counts) for times in delays(pool)), 5, "it is counted")

    (waits,) = pool.undecided
    assert isinstance(waits.error, NotYetError)  # type: ignore[union-attr]
    assert sum(thread.failed for thread in pool.threads) == 0
    calls = [times for thread in pool.threads for times in thread.times.values()]
    assert [sum(sum(each.counts) for each in found) for found in (calls, delays(pool))] == [1, 1]


def test_a_delay_is_from_a_messages_timestamp_to_its_first_call(running: Start) -> None:
    now, excused = time.time(), Attempt(1, math.inf, 0.0)
    given = (
        ((1, int((now - 100) * 1000)), 1),
        ((1, 1500), 2),
        ((0, 0), 1),
        ((1, int((now + 3600) * 1000)), 1),
        ((1, 1500), excused),
    )
    work = Work(len(given))
    with running() as pool:
        for offset, (timestamp, attempt) in enumerate(given):
            task = work.task(offset, attempt=attempt)
            task[2].given_timestamp = timestamp
            work.give(pool, task)
            eventually(lambda: work.watermark == offset + 1 and nothing_runs(pool), 5, "it is done")  # noqa: B023
        eventually(lambda: sum(sum(times.counts) for times in delays(pool)) == 2, 5, "those two are counted")

    counts = [sum(each) for each in zip(*(times.counts for times in delays(pool)))]
    assert {bucket: count for bucket, count in zip(BUCKETS, counts) if count} == {"0.001": 1, "300.0": 1}  # ahead of us: none
    assert 100 <= sum(times.seconds for times in delays(pool)) < 110


def delays(pool: Pool) -> List[Times]:
    return [times for thread in pool.threads for times in thread.delays.copy().values()]
