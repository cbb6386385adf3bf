"""With a real event loop in a real thread."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import time
from typing import Any, Awaitable, Callable, Iterator, List

import pytest

from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.lanes import Lane
from kafka_worker.partitions.tracker import RUNNING
from kafka_worker.partitions.undecided import Raised, Returned
from kafka_worker.pools.async_pool import AsyncPool
from kafka_worker.shared.foreign.answers import Send
from tests.support.ending import made_to_end
from tests.support.eventually import eventually
from tests.unit.fakes import in_words
from tests.unit.pools.test_thread_pool import Work

Handler = Callable[[Any, Partition, int], Awaitable[Any]]


@contextlib.contextmanager
def looping(call: Handler, coroutines: int = 1000) -> Iterator[AsyncPool]:
    pool = AsyncPool(coroutines, call)
    end = made_to_end(pool)
    pool.start()
    try:
        yield pool
    finally:
        eventually(lambda: not pool.running(), 5, "no call is left")
        end()


async def nothing(_message: Any, _partition: Partition, _attempt: int) -> None:
    await asyncio.sleep(0)


def test_thousands_run_at_once_and_each_is_done_once() -> None:
    work, calls, begun = Work(1000), [], time.monotonic()

    async def call(message: Any, _partition: Partition, _attempt: int) -> None:
        calls.append(message.offset())
        await asyncio.sleep(0.1)

    with looping(call) as pool:
        work.give(pool, *[work.task(offset) for offset in range(1000)])
        eventually(lambda: work.watermark == 1000, 5, "all are done")

    assert sorted(calls) == list(range(1000))
    assert time.monotonic() - begun < 50  # one after the other it would be 100 s
    (thread,) = pool.threads
    assert (thread.done, thread.failed, sum(thread.histogram), thread.done_of) == (1000, 0, 1000, {"topic": 1000})


def test_never_more_run_than_allowed_and_all_get_their_turn() -> None:
    work, most = Work(50), []

    async def call(*_: Any) -> None:
        most.append(len(pool.running()))
        await asyncio.sleep(0)

    with looping(call, coroutines=3) as pool:
        work.give(pool, *[work.task(offset) for offset in range(50)])
        eventually(lambda: work.watermark == 50, 5, "all are done")

    assert max(most) == 3


def test_what_runs_is_seen_by_its_place_and_flagged_in_the_journal() -> None:
    work, release = Work(2), threading.Event()

    async def call(*_: Any) -> None:
        await asyncio.get_running_loop().run_in_executor(None, release.wait, 5)

    with looping(call) as pool:
        work.give(pool, work.task(0), work.task(1))
        eventually(lambda: len(pool.running()) == 2 and work.segment.seen() == bytes([RUNNING] * 2), 5, "both run")
        names = {thread.name for thread, _task in pool.running()}
        release.set()

    assert names == {"coroutine-0", "coroutine-1"}


class FalseError(Exception):
    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize(
    "error", [ValueError("no"), SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError(), FalseError()]
)
def test_whatever_a_call_raises_is_its_failure_and_the_loop_goes_on(error: BaseException) -> None:
    async def call(message: Any, _partition: Partition, _attempt: int) -> None:
        await asyncio.sleep(0)
        if message.offset() == 0:
            raise error

    work = Work(2)
    with looping(call) as pool:
        work.give(pool, work.task(0), work.task(1))
        eventually(lambda: pool.threads[0].done == 1 and pool.undecided, 5, "the second is done")

    (raised,) = pool.undecided
    assert isinstance(raised, Raised)
    assert (raised.task[0], in_words(raised.error), work.watermark) == (0, in_words(error), 0)


def refusing(_loop: asyncio.AbstractEventLoop, coroutine: Any, **_options: Any) -> Any:
    coroutine.close()
    raise RuntimeError("no more tasks")


# The eager one (from Python 3.12 on) would run a call where the pool begins it.
FACTORIES = [refusing, *filter(None, [getattr(asyncio, "eager_task_factory", None)])]


@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("followers", [False, True])
def test_a_handlers_own_way_to_make_tasks_is_not_the_pools(factory: Any, *, followers: bool) -> None:
    """Calls begin in their turn, and as many as there are places; the handler's own tasks are its own matter."""
    seen: List[int] = []

    async def call(message: Any, _partition: Partition, _attempt: int) -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        seen.append(len(pool.running()))
        if message.offset() % 2:
            await asyncio.sleep(0.001)

    work, lane = Work(100), Lane() if followers else None
    with looping(call, coroutines=3) as pool:
        tasks = [work.task(offset, lane) for offset in range(100)]
        if lane is not None:
            tasks = [task for task in tasks if lane.admit(task)]
        work.give(pool, *tasks)
        eventually(lambda: work.watermark == 100, 5, "all are done")

    assert max(seen) == (1 if followers else 3)
    assert not pool.undecided


def test_a_message_that_can_not_be_read_fails_alone() -> None:
    def call(message: Any, _partition: Partition, _attempt: int) -> Awaitable[None]:
        if message.offset() == 0:
            raise UnicodeDecodeError("utf-8", b"", 0, 1, "no")
        return nothing(message, _partition, _attempt)

    work = Work(2)
    with looping(call) as pool:
        work.give(pool, work.task(0), work.task(1))
        eventually(lambda: pool.threads[0].done == 1 and pool.undecided, 5, "the second is done")


@pytest.mark.parametrize("deed", ["exit", "stop"])
def test_a_handlers_own_tasks_can_not_end_the_loop(deed: str) -> None:
    async def exits() -> None:
        raise SystemExit

    async def call(message: Any, _partition: Partition, _attempt: int) -> None:
        if message.offset() == 0:
            if deed == "stop":
                asyncio.get_running_loop().stop()
            else:
                await asyncio.gather(asyncio.create_task(exits()), return_exceptions=True)

    work = Work(2)
    with looping(call) as pool:
        work.give(pool, work.task(0))
        eventually(lambda: pool.threads[0].done + pool.threads[0].failed == 1, 5, "the deed is done")
        work.give(pool, work.task(1))
        eventually(lambda: work.segment.last_done() == 1, 5, "the loop goes on")


def test_the_follower_in_a_lane_runs_after_success_and_not_after_failure() -> None:
    async def call(message: Any, _partition: Partition, _attempt: int) -> None:
        await asyncio.sleep(0)
        if message.offset() == 1:
            raise ValueError

    work, lane = Work(3), Lane()
    with looping(call) as pool:
        for offset in range(3):
            lane.admit(work.task(offset, lane))
        work.give(pool, work.task(0, lane))
        eventually(lambda: len(pool.undecided) == 1 and not pool.running(), 5, "the second has failed")

    assert work.watermark == 1
    assert not lane.idle


def test_tasks_of_a_closed_partition_start_only_below_its_frontier() -> None:
    work = Work(4)
    work.partition.closing.close(None)
    work.partition.closing.frontier = 2
    with looping(nothing) as pool:
        work.give(pool, *[work.task(offset) for offset in range(4)])
        eventually(lambda: len(pool.parked) == 2 and not pool.running(), 5, "the rest is parked")

    assert [task[0] for task in pool.parked] == [2, 3]
    assert work.watermark == 2


def test_what_ends_after_its_partition_went_away_is_counted_as_stale() -> None:
    release = threading.Event()

    async def call(*_: Any) -> None:
        await asyncio.get_running_loop().run_in_executor(None, release.wait, 5)

    work = Work(1)
    with looping(call) as pool:
        work.give(pool, work.task(0))
        eventually(pool.running, 5, "it runs")
        work.partition.closing.forget()
        release.set()
        eventually(lambda: pool.threads[0].stale == 1, 5, "the end is noted")


def test_every_call_begins_in_an_empty_context() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=-1)
    seen: List[int] = []

    async def call(message: Any, _partition: Partition, _attempt: int) -> None:
        seen.append(variable.get())
        variable.set(message.offset())

    work, lane = Work(3), Lane()
    with looping(call, coroutines=1) as pool:
        for offset in range(3):
            lane.admit(work.task(offset, lane))
        work.give(pool, work.task(0, lane))
        eventually(lambda: work.watermark == 3, 5, "all are done")

    assert seen == [-1, -1, -1]


def test_what_is_to_be_sent_keeps_the_task_in_flight_and_its_key_waiting() -> None:
    async def call(*_: Any) -> Send:
        return Send("t", 1)

    work, lane = Work(2), Lane()
    with looping(call) as pool:
        for offset in range(2):
            lane.admit(work.task(offset, lane))
        work.give(pool, work.task(0, lane))
        eventually(lambda: pool.undecided and not pool.running(), 5, "the call has returned")

    (returned,) = pool.undecided
    assert isinstance(returned, Returned)
    assert ([task[0] for task in returned.tasks], [send.topic for send in returned.sends]) == ([0], ["t"])
    assert work.watermark == 0


async def waits_here(release: threading.Event) -> None:
    await asyncio.get_running_loop().run_in_executor(None, release.wait, 5)


def blocks_here(release: threading.Event) -> None:
    release.wait(5)


@pytest.mark.parametrize("place", ["waits_here", "blocks_here"])
def test_the_stack_of_a_call_shows_where_it_waits_or_blocks_the_loop(place: str) -> None:
    release = threading.Event()

    async def call(*_: Any) -> None:
        if place == "waits_here":
            await waits_here(release)
        else:
            blocks_here(release)

    work = Work(1)
    with looping(call) as pool:
        work.give(pool, work.task(0))
        eventually(lambda: pool.running() and "in " + place in pool.running()[0][0].stack(), 5, "it is there")
        release.set()
