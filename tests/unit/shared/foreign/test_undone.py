"""What is returned without being done is no success; what is done is."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import itertools
import threading
from concurrent.futures import Future
from multiprocessing.pool import ThreadPool
from typing import Any, AsyncIterator, Callable, Dict, Iterator, List, Optional

import pytest

from kafka_worker.partitions.undecided import sends_of
from kafka_worker.shared.foreign.answers import Send


async def coroutine() -> None: ...


def generator() -> Iterator[Send]:
    yield Send("t", 1)


async def async_generator() -> AsyncIterator[int]:
    yield 1


class CeleryLike:
    """What a call of `delay` gives."""

    def ready(self) -> bool:
        return False

    def get(self) -> None: ...


class SignatureLike(Dict[str, Any]):
    """What `task.s(…)` gives."""

    def delay(self) -> None: ...

    def apply_async(self) -> None: ...


class ProgramLike:
    """As subprocess.Popen."""

    def __init__(self, returncode: Optional[int]) -> None:
        self.returncode = returncode

    def poll(self) -> Optional[int]:
        return self.returncode

    def communicate(self) -> None: ...


def of_loop() -> Any:
    loop = asyncio.new_event_loop()
    with contextlib.closing(loop):
        return loop.create_future()


def of_pool() -> Any:
    with ThreadPool(1) as pool:
        return pool.apply_async(print)


UNDONE: Dict[str, Callable[[], Any]] = {
    "wanted: async def": coroutine,
    "await in it": of_loop,
    "a generator, whose body has not run": generator,
    "wanted: a function without yield": async_generator,
    "whose body has not run": lambda: map(print, [1]),
    "body has not run": lambda: zip(map(print, [1])),
    "has not run": lambda: enumerate(map(print, [1])),
    "which may return a list": lambda: itertools.starmap(print, [(1,)]),
    "may return a list": lambda: itertools.chain.from_iterable(map(str, [1])),
    "a generator": contextlib.contextmanager(generator),
    "a generator,": contextlib.asynccontextmanager(async_generator),
    "wanted: return future.result": Future,
    "nobody would see it; wait for it by get": CeleryLike,
    "which may still fail, and nobody would see it": of_pool,
    "its delay": SignatureLike,
    "a function, which nobody has called": lambda: coroutine,
    "decorator": lambda: functools.partial(print, 1),
    "nobody has called": lambda: CeleryLike,
    "wanted: join": lambda: threading.Thread(target=print),
    "wanted: wait": lambda: ProgramLike(None),
}


@pytest.mark.filterwarnings("ignore:coroutine")
@pytest.mark.parametrize("what", UNDONE)
@pytest.mark.parametrize("listed", [False, True], ids=["alone", "listed"])
def test_what_is_returned_without_being_done_is_no_success_and_says_what_to_write(what: str, listed: bool) -> None:
    result = UNDONE[what]()

    with pytest.raises(TypeError, match=what):
        sends_of([1, result] if listed else result, ())


@pytest.mark.parametrize(
    "holder",
    [
        {"send": Send("t", 1)}, {"status": "ok", "send": Send("t", 1)}, {"send": Send("t", 1)}.values(), {Send("t", 1)},
        ["ok", [Send("t", 1)]], [[], ["ok", Send("t", 1)]],
    ],
)  # fmt: skip
def test_what_is_to_be_sent_and_stands_where_nobody_looks_for_it_is_no_success(holder: Any) -> None:
    with pytest.raises(TypeError, match="returned a Send within a"):
        sends_of(holder, ())


def ended_thread() -> threading.Thread:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    return thread


@pytest.mark.parametrize(
    "make",
    [
        ended_thread, object, lambda: ProgramLike(0), lambda: [{}, "a", None], lambda: io.StringIO("a"), lambda: iter([1]),
        lambda: {"a": print},
    ],
)  # fmt: skip
def test_whatever_else_is_returned_is_done(make: Callable[[], Any]) -> None:
    assert sends_of(make(), ()) is None


def test_a_list_of_sends_is_what_a_generator_of_them_should_have_been() -> None:
    listed: List[Send] = list(generator())

    results = sends_of(listed, ())

    assert results is not None
    assert len(results.sends) == 1
