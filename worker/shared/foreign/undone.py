"""What a handler returns although it is not done: a call whose body has not run, or work that goes on without it. Its message
would be committed, and lost without a word when that fails. Pure.

Kinds are told by what their class has, because they come from many libraries: a future, a task or a process of any of them.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import types
from typing import Any, Callable, NamedTuple, Optional, Sequence

_FUNCTIONS = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, functools.partial)
_MANAGERS = (contextlib._GeneratorContextManager, contextlib._AsyncGeneratorContextManager)  # noqa: SLF001 (of @contextmanager)
_ITERTOOLS = tuple(each for each in vars(itertools).values() if isinstance(each, type) and each.__module__ == "itertools")
_LAZY = (types.GeneratorType, types.AsyncGeneratorType, map, filter, zip, enumerate, *_ITERTOOLS, *_MANAGERS)


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


_KINDS: Sequence[_Kind] = (
    _Kind(_of(types.CoroutineType), "a coroutine", "which nobody awaits, so it has done nothing yet; wanted: async def"),
    _Kind(_with("__await__"), "something to be awaited", "which nobody awaits; wanted: async def, and await in it"),
    _Kind(_of(*_LAZY), "a generator", "whose body has not run; wanted: a function without yield, which may return a list"),
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
    """Raises TypeError for what is not done."""
    kind = _kind_of(type(result))  # type: ignore[arg-type]  # types can be hashed
    if kind is not None and kind.undone(result):
        if inspect.iscoroutine(result):
            result.close()  # else Python complains that nobody awaited it
        raise TypeError(f"the handler returned {kind.what}, {kind.why}")
