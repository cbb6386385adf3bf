"""What is returned without being done is no success; what is done is."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import itertools
import sqlite3
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from typing import Any, AsyncIterator, Callable, Dict, Iterator, List, NamedTuple, NoReturn, Optional

import pytest

from kafka_worker.handler.context import Context
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.undecided import sends_of
from kafka_worker.shared.foreign.answers import BatchError, Reject, Retry, Send


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


class Sends:
    """What gives one after the other."""

    def __iter__(self) -> Sends:
        return self

    def __next__(self) -> Send:
        return Send("t", 1)


class CompiledGeneratorLike(Sends):
    """As Cython and mypyc make them."""

    def send(self, _value: Any) -> None: ...
    def throw(self, _error: Any) -> None: ...
    def close(self) -> None: ...


def of_loop() -> Any:
    loop = asyncio.new_event_loop()
    with contextlib.closing(loop):
        return loop.create_future()


def of_pool() -> Any:
    with ThreadPool(1) as pool:
        return pool.apply_async(print)


def of_pools_imap() -> Any:
    with ThreadPool(1) as pool:
        return pool.imap(print, [])


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
    "an iterator, whose body has not run": Sends,
    "an iterator": of_pools_imap,
    "an iterator, ": lambda: iter([1]),
    "generator, whose body has not run": CompiledGeneratorLike,
    "an error, which nobody has raised.*; wanted: raise ValueError: text": lambda: ValueError("text"),
    "its message would count as done; wanted: raise": lambda: Retry("later", after=5),
    "wanted: raise": lambda: Reject("no"),
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


@dataclass
class Result:
    """What a handler may think of."""

    send: Any
    more: Any = None


class Slotted:
    """The same, without a dictionary, and of a kind that answers no question."""

    __slots__ = ("send",)

    def __init__(self, send: Any) -> None:
        self.send = send

    def asked(self, *_: Any) -> NoReturn:
        raise SystemExit

    __iter__ = __len__ = __bool__ = __hash__ = __eq__ = asked


class Named(NamedTuple):
    """A tuple."""

    send: Any
    more: Any = None


SEND = Send("t", 1)


HOLDERS: Dict[str, Callable[[], Any]] = {
    "value": lambda: {"status": "ok", "send": SEND},
    "key": lambda: {SEND: 1},
    "deep value": lambda: {1: {2: [SEND]}},
    "last of many values": lambda: {**{number: [] for number in range(1000)}, 1000: SEND},
    "set": lambda: {SEND},
    "lists": lambda: [[], ["ok", SEND]],
    "values": {1: SEND}.values,
    "keys": {SEND: 1}.keys,
    "items": {1: SEND}.items,
    "dataclass": lambda: Result(SEND),
    "dataclasses": lambda: Result(1, [Result({1: SEND})]),
    "slots": lambda: [Slotted([SEND])],
    "named tuple": lambda: [Named(SEND)],
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_what_is_to_be_sent_and_stands_where_nobody_looks_for_it_is_no_success(holder: str) -> None:
    with pytest.raises(TypeError, match="returned a Send within a"):
        sends_of(HOLDERS[holder](), ())


@pytest.mark.parametrize("answer", [Retry("later"), Reject("no"), BatchError({0: "bad"})])
def test_an_answer_that_is_to_be_raised_and_stands_within_something_else_is_no_success(answer: Exception) -> None:
    with pytest.raises(TypeError, match=f"returned a {type(answer).__name__} within a Result; wanted: raise"):
        sends_of(Result(False, answer), ())


def ended_thread() -> threading.Thread:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    return thread


def cursor() -> sqlite3.Cursor:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        return connection.execute("SELECT 1")


@pytest.mark.parametrize(
    "make",
    [
        ended_thread, object, lambda: ProgramLike(0), lambda: [{}, "a", None], lambda: io.StringIO("a"),
        lambda: {"a": print}, cursor, lambda: Result(Result(Send)),
        lambda: {"a": Context(None, Partition("t", 0), 1)},
    ],
)  # fmt: skip
def test_whatever_else_is_returned_is_done(make: Callable[[], Any]) -> None:
    assert sends_of(make(), ()) is None


def test_a_list_of_sends_is_what_a_generator_of_them_should_have_been() -> None:
    listed: List[Send] = list(generator())

    results = sends_of(listed, ())

    assert results is not None
    assert len(results.sends) == 1
