"""What a handler needs before its first message and gives back after its last: pools of connections, clients, models. A
generator function with one `yield`, in the handler's module or one that it imports:

    @per_process
    def database():
        pool = connect()
        yield pool  # from now on `database()` gives it, wherever in this process it is called
        pool.close()

`@per_thread` is the same for each handler thread. Hooks start in the order in which they are defined, so one may use those
before it, and stop in the reverse one. An async generator function starts and stops on the event loop of async handlers. When
and by whom is the affair of `lives`.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import threading
from inspect import isasyncgenfunction, isgeneratorfunction
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, AsyncIterator, Callable, Generic, Iterator, List, NamedTuple, TypeVar, Union

from kafka_worker import start
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.foreign.errors import PlainError
from kafka_worker.shared.foreign.exceptions import copied

if TYPE_CHECKING:
    import asyncio

log = logs.logger(__name__)

T = TypeVar("T")
Function = Callable[[], Union[Iterator[T], AsyncIterator[T]]]
Drive = Callable[[Any], Any]  # runs an awaitable to its end


class HookError(PlainError):
    """A hook has failed, or what it makes is asked for where it is not."""


class Hook(Generic[T]):
    """What the decorators make of a function. Called, it gives what that function has yielded."""

    def __init__(self, function: Function[T], place: Any) -> None:
        """`place` keeps what was yielded, as its attribute. Raises TypeError for what could never be started."""
        self.is_async = isasyncgenfunction(function)
        innermost: Any = function.func if isinstance(function, functools.partial) else function
        kind = type(innermost)
        self.name = f"{getattr(innermost, '__module__', kind.__module__)}.{getattr(innermost, '__qualname__', kind.__name__)}"
        if not (isgeneratorfunction(function) or self.is_async):
            raise TypeError(
                "a hook is a function with one yield, start before it, stop after it, and no other decorator (as "
                f"@contextmanager) between; {self.name} is none"
            )
        try:
            inspect.signature(function).bind()
        except TypeError as problem:
            raise TypeError(f"a hook is called without arguments: {self.name}: {problem}") from None
        self.__doc__ = function.__doc__
        self._place = place
        self._manager: Callable[[], Any] = (
            functools.partial(_InOneTask, self.name, function) if self.is_async else contextlib.contextmanager(function)  # type: ignore[arg-type]
        )

    def __call__(self) -> T:
        """Raises HookError where it does not run: in threads of your own, where it is one a thread; in other programs."""
        try:
            return self._place.value  # type: ignore[no-any-return]
        except AttributeError:
            raise HookError(f"the hook {self.name} has not been started in this process, or thread") from None

    def __repr__(self) -> str:
        """Which one it is: where what it gives is meant, its parentheses are missing."""
        return f"<hook {self.name}>"

    def instead(self, value: T) -> Hook[T]:
        """One that gives this value wherever this one is called, and starts nothing: for tests."""
        other = copy.copy(self)
        other.is_async, other._manager = False, lambda: contextlib.nullcontext(value)  # noqa: SLF001 (our own)
        return other

    def start(self, drive: Drive) -> Any:
        """What has to be exited to stop it. Raises what the function raises, and HookError where it runs already."""
        if hasattr(self._place, "value"):
            why = "one TestWorker at a time can have it; its `hooks=[…]` says which ones it starts"
            raise HookError(f"it runs already in this process, or thread ({why})")
        manager = self._manager()
        self._place.value = drive(manager.__aenter__()) if self.is_async else manager.__enter__()
        return manager

    def stop(self, manager: Any, drive: Drive) -> None:
        """Raises what the function raises."""
        with contextlib.suppress(AttributeError):
            del self._place.value
        if self.is_async:
            drive(manager.__aexit__(None, None, None))
        else:
            manager.__exit__(None, None, None)


class _InOneTask:
    """An async generator function as a context that one task enters and leaves, whoever asks for it: what libraries
    open in a task they want closed in the same (anyio's and asyncio's groups of tasks)."""

    def __init__(self, name: str, function: Callable[[], AsyncIterator[Any]]) -> None:
        self._name = name
        self._context = contextlib.asynccontextmanager(function)()
        self._ends: asyncio.Event
        self._task: asyncio.Future[None]

    async def __aenter__(self) -> Any:
        """Raises what the function raises before its yield."""
        asyncio = start.late("asyncio")
        self._ends, started = asyncio.Event(), asyncio.get_running_loop().create_future()
        self._task = asyncio.ensure_future(self._live(started))
        return await started

    async def __aexit__(self, *_: object) -> None:
        """Raises what it raises after that."""
        self._ends.set()
        await self._task

    async def _live(self, started: asyncio.Future[Any]) -> None:
        try:
            async with self._context as value:
                started.set_result(value)
                await self._ends.wait()
        except BaseException as problem:  # SystemExit too: of a task it would end the loop
            if not started.done():
                started.set_exception(problem)
                return
            if not self._ends.is_set():  # one of its tasks has failed, and the group with it
                log.error(  # noqa: TRY400 (a copy)
                    "The hook %s has come to its end by itself",
                    self._name, exc_info=copied(problem), extra=about(Event.HOOK_FAILED),
                )  # fmt: skip
            raise


class Registry(NamedTuple):
    """The hooks that are defined, in this order."""

    per_process: List[Hook[Any]]
    per_thread: List[Hook[Any]]

    @property
    def of_process(self) -> List[Hook[Any]]:
        """Those of the process that any thread may start."""
        return [hook for hook in self.per_process if not hook.is_async]

    @property
    def of_loop(self) -> List[Hook[Any]]:
        """Those that need an event loop."""
        return [hook for hook in self.per_process if hook.is_async]


DEFINED = Registry([], [])


def per_process(function: Function[T]) -> Hook[T]:
    """One a process: for what threads may share. Raises TypeError for what could never be started."""
    hook: Hook[T] = Hook(function, SimpleNamespace())
    DEFINED.per_process.append(hook)
    return hook


def per_thread(function: Function[T]) -> Hook[T]:
    """One a handler thread: for what they may not share. Raises TypeError, also for an async one."""
    hook: Hook[T] = Hook(function, threading.local())
    if hook.is_async:
        raise TypeError(f"{hook.name} is async, and the event loop has one thread; wanted: @per_process")
    DEFINED.per_thread.append(hook)
    return hook


def faults(defined: Registry, *, with_loop: bool) -> List[str]:
    """What is wrong between the hooks and the handlers, of which some are async or not."""
    if with_loop:
        return []
    return [f"the hook {hook.name} is async, and no handler is. Use a plain function with yield" for hook in defined.of_loop]
