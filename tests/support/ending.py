"""Pools whose threads end; the product leaves that to the end of the process."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterator, List, NoReturn, TypeVar, cast

from kafka_worker.partitions.queues import Queue
from kafka_worker.pools.async_pool import AsyncPool
from kafka_worker.pools.composite import Pools
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.pools.runner import Runner
from kafka_worker.pools.thread_pool import Pool

R = TypeVar("R", bound=Runner)


class EndError(Exception):
    """Ends a handler thread."""


class _End(Queue):
    """Whoever wants a task of it ends."""

    def __init__(self) -> None:
        self.tasks = (None, None)  # never empty, and something is left for the next thread
        self.pop: Callable[[], Any] = self._end

    def _end(self) -> NoReturn:
        raise EndError


def made_to_end(pool: Runner) -> Callable[[], None]:
    """To be called before the pool starts. What it returns ends all its threads that run no task then."""
    ends = [_one_made_to_end(part) for part in parts_of(pool)]

    def end() -> None:
        for each in ends:
            each()

    return end


@contextlib.contextmanager
def started(pool: R) -> Iterator[R]:
    """It runs until the end of the block."""
    end = made_to_end(pool)
    pool.start()
    try:
        yield pool
    finally:
        end()


def parts_of(pool: Runner) -> List[Pool]:
    """The pools of which it is made."""
    return list(pool._parts.values()) if isinstance(pool, Pools) else [cast("Pool", pool)]


def _one_made_to_end(pool: Pool) -> Callable[[], None]:
    if isinstance(pool, AsyncPool):
        return _loop_made_to_end(pool)
    serve = pool._serve

    def until_end(thread: HandlerThread, turn: int) -> None:
        with contextlib.suppress(EndError):
            serve(thread, turn)

    def end() -> None:
        pool.serve([_End()])
        pool.resize(len(pool.threads))  # none rests
        pool.wake(len(pool.threads))

    pool._serve = until_end  # type: ignore[method-assign]
    return end


def _loop_made_to_end(pool: AsyncPool) -> Callable[[], None]:
    ended: List[bool] = []

    def until_end(thread: HandlerThread, _turn: int) -> None:
        while not ended:
            pool._run_loop()
        pool._loop.close()

    def end() -> None:
        ended.append(True)
        pool._loop.call_soon_threadsafe(pool._loop.stop)

    pool._serve = until_end  # type: ignore[method-assign]
    return end
