"""What a handler returns, and nobody would hear: a call whose body has not run, work that goes on without it, an error that
nobody has raised, or a `Send` where nobody looks for it. Its message would be committed, and lost without a word. Pure.

Kinds are told by what their class has, because they come from many libraries: a future, a task or a process of any of them.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
import types
from typing import Any, Callable, List, NamedTuple, Optional, Sequence

from kafka_worker.shared.foreign.answers import BatchError, Reject, Retry, Send
from kafka_worker.shared.foreign.errors import described

_FUNCTIONS = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, functools.partial)
_MANAGERS = (contextlib._GeneratorContextManager, contextlib._AsyncGeneratorContextManager)  # noqa: SLF001 (of @contextmanager)
_ANSWERS = (Send, Retry, Reject, BatchError)
# What leads to all that a program has, and is no part of a value.
_ELSEWHERE = (*_FUNCTIONS, types.ModuleType, types.CodeType, types.FrameType, types.TracebackType, types.GeneratorType)
_MOST = 200  # things that have others in them, and are looked into


class _Kind(NamedTuple):
    """Results that may not be done."""

    includes: Callable[[type], bool]
    what: str
    why: str  # nothing is done, and what to write instead
    undone: Callable[[Any], bool] = lambda _result: True


def _of(*classes: type) -> Callable[[type], bool]:
    return lambda kind: issubclass(kind, classes)


def _with(*names: str) -> Callable[[type], bool]:
    return lambda kind: all(hasattr(kind, name) for name in names)


def _iterator(kind: type) -> bool:
    """What has an end to be closed (a file, the cursor of a database) is more than that, and has done something."""
    return hasattr(kind, "__next__") and not hasattr(kind, "close")


_UNRUN = "whose body has not run; wanted: a function without yield, which may return a list"
_KINDS: Sequence[_Kind] = (
    _Kind(_of(types.CoroutineType), "a coroutine", "which nobody awaits, so it has done nothing yet; wanted: async def"),
    _Kind(_with("__await__"), "something to be awaited", "which nobody awaits; wanted: async def, and await in it"),
    _Kind(_with("send", "throw", "__next__"), "a generator", _UNRUN),  # compiled ones, too
    _Kind(_with("asend", "athrow"), "a generator", _UNRUN),
    _Kind(_of(*_MANAGERS), "a generator", _UNRUN),
    _Kind(_iterator, "an iterator", _UNRUN),
    _Kind(_of(BaseException), "an error", "which nobody has raised, so its message would count as done; wanted: raise"),
    _Kind(_of(*_FUNCTIONS), "a function", "which nobody has called; some decorators must be written with parentheses"),
    _Kind(
        _with("add_done_callback", "result"),
        "a future",
        "which may still fail, and nobody would see it; wanted: return future.result()",
    ),
    _Kind(_with("apply_async", "delay"), "a task", "which nobody has started; wanted: call it, or its delay()"),
    _Kind(
        _with("ready", "get"),
        "the result of a task that runs elsewhere",
        "which may still fail, and nobody would see it; wait for it by get(), or return nothing where handing it over is all",
    ),
    _Kind(
        _with("is_alive", "join"),
        "a thread or a process",
        "which has not ended, and nobody would see how it does; wanted: join() before the handler returns",
        lambda result: result.ident is None or result.is_alive(),
    ),
    _Kind(
        _with("poll", "communicate"),
        "a program",
        "which has not ended, and nobody would see how it does; wanted: wait() before the handler returns",
        lambda result: result.returncode is None,
    ),
)


@functools.lru_cache(maxsize=1024)
def _kind_of(kind: type) -> Optional[_Kind]:
    return next((each for each in _KINDS if each.includes(kind)), None)


def must_be_done(result: Any) -> None:
    """Raises TypeError for what is not done, or failed."""
    kind = _kind_of(type(result))  # type: ignore[arg-type]  # types can be hashed
    if kind is not None and kind.undone(result):
        if inspect.iscoroutine(result):
            result.close()  # else Python complains that nobody awaited it
        error = result if issubclass(type(result), BaseException) else None
        which = "" if error is None else f" {described(error)}"
        raise TypeError(f"the handler returned {kind.what}, {kind.why}{which}") from error


def must_hold_no_answer(result: Any) -> None:
    """Raises TypeError for what is to be heard and stands within something else, whatever that is (the attribute of an object,
    a key, an iterator): what Python's collector of garbage finds in it, without a call of anything of the user's."""
    level: List[Any] = [result] if gc.is_tracked(result) else []
    seen = set(map(id, level))
    while level:
        held, level = [each for each in gc.get_referents(*level) if gc.is_tracked(each)], []
        for each in held:
            kind = type(each)
            if issubclass(kind, _ANSWERS):
                what = next(answer.__name__ for answer in _ANSWERS if issubclass(kind, answer))
                wanted = "a Send, or a list of them" if what == "Send" else "raise"
                raise TypeError(f"the handler returned a {what} within a {type(result).__name__}; wanted: {wanted}")
            if len(seen) < _MOST and id(each) not in seen and not issubclass(kind, _ELSEWHERE):
                seen.add(id(each))
                level.append(each)
