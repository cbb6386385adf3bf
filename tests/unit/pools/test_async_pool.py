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
from kafka_worker.pools import stacks
from kafka_worker.pools.async_pool import AsyncPool
from tests.support.ending import started
from tests.support.eventually import eventually
from tests.unit.pools.kinds import Work

Handler = Callable[[Any, Partition, int], Awaitable[Any]]


@contextlib.contextmanager
def looping(call: Handler, coroutines: int = 1000) -> Iterator[AsyncPool]:
    with started(AsyncPool(coroutines, call)) as pool:
        yield pool
        eventually(lambda: not pool.running(), 5, "no call is left")


async def nothing(_message: Any, _partition: Partition, _attempt: int) -> None:
    await asyncio.sleep(0)


def test_thousands_run_at_once_and_each_is_done_once() -> None:
    work, calls, begun = Work(1000), [], time.monotonic()

    async def call(message: Any, _partition: Partition, _attempt: int) -> None:
        calls.append(message.offset())
        await asyncio.sleep(0.02)

    with looping(call) as pool:
        work.give_all(pool)
        eventually(lambda: work.watermark == 1000, 30, "all are done")

    assert sorted(calls) == list(range(1000))
    assert time.monotonic() - begun < 10  # one after the other it would be 20 s
    (thread,) = pool.threads
    assert (thread.done, thread.failed, sum(work.times(pool).counts), thread.done_of) == (1000, 0, 1000, {"topic": 1000})


def test_never_more_run_than_allowed_and_all_get_their_turn() -> None:
    work, most = Work(50), []

    async def call(*_: Any) -> None:
        most.append(len(pool.running()))
        await asyncio.sleep(0)

    with looping(call, coroutines=3) as pool:
        work.give_all(pool)
        eventually(lambda: work.watermark == 50, 5, "all are done")

    assert max(most) == 3


def test_no_task_wakes_nobody() -> None:
    """Each turn of a rate limit says how many permits have come. Who finds nothing to do ends the consumer thread's rest."""
    looked = threading.Event()
    with looping(nothing) as pool:
        pool.wake(0)
        pool._loop.call_soon_threadsafe(looked.set)

        assert looked.wait(5)
        assert not pool.idle.is_set()


def test_who_cancels_all_tasks_of_the_loop_costs_others_an_attempt_and_loses_none_that_had_not_begun() -> None:
    """A task that is cancelled before its first step never runs at all: nothing would record what became of it."""
    work = Work(20)

    async def call(message: Any, _partition: Partition, _attempt: int) -> None:
        if not message.offset():
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
        await asyncio.sleep(0.001)

    with looping(call) as pool:
        work.give_all(pool)
        eventually(lambda: work.watermark == 20, 5, "all are done")

    assert not pool.undecided


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

    work = Work(100)
    with looping(call, coroutines=3) as pool:
        (work.give_in_one_lane if followers else work.give_all)(pool)
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
        work.give_all(pool)
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


def test_every_call_begins_in_an_empty_context() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=-1)
    seen: List[int] = []

    async def call(message: Any, _partition: Partition, _attempt: int) -> None:
        seen.append(variable.get())
        variable.set(message.offset())

    work = Work(3)
    with looping(call, coroutines=1) as pool:
        work.give_in_one_lane(pool)
        eventually(lambda: work.watermark == 3, 5, "all are done")

    assert seen == [-1, -1, -1]


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
        eventually(lambda: pool.running() and "in " + place in stacks.text(pool.running()[0][0].calls()), 5, "it is there")
        release.set()
