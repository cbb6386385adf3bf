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
import threading
from inspect import isasyncgenfunction, isgeneratorfunction
from types import SimpleNamespace
from typing import Any, AsyncIterator, Callable, Generic, Iterator, List, NamedTuple, TypeVar, Union

from kafka_worker.shared.foreign.errors import PlainError

T = TypeVar("T")
Function = Callable[[], Union[Iterator[T], AsyncIterator[T]]]
Drive = Callable[[Any], Any]  # runs an awaitable to its end


class HookError(PlainError):
    """A hook has failed, or what it makes is asked for where it is not."""


class Hook(Generic[T]):
    """What the decorators make of a function. Called, it gives what that function has yielded."""

    def __init__(self, function: Function[T], place: Any) -> None:
        """`place` keeps what was yielded, as its attribute."""
        if not (isgeneratorfunction(function) or isasyncgenfunction(function)):
            raise TypeError(f"a hook is a function with one yield: start before it, stop after it; {function!r} has none")
        self.is_async = isasyncgenfunction(function)
        self.name = f"{function.__module__}.{function.__qualname__}"
        self.__doc__ = function.__doc__
        self._place = place
        manager: Any = contextlib.asynccontextmanager if self.is_async else contextlib.contextmanager
        self._manager: Callable[[], Any] = manager(function)

    def __call__(self) -> T:
        """Raises HookError where it does not run: in threads of your own, where it is one a thread; in other programs."""
        try:
            return self._place.value  # type: ignore[no-any-return]
        except AttributeError:
            raise HookError(f"the hook {self.name} has not been started in this process, or thread") from None

    def instead(self, value: T) -> Hook[T]:
        """One that gives this value wherever this one is called, and starts nothing: for tests."""
        other = copy.copy(self)
        other.is_async, other._manager = False, lambda: contextlib.nullcontext(value)  # noqa: SLF001 (our own)
        return other

    def start(self, drive: Drive) -> Any:
        """What has to be exited to stop it. Raises what the function raises."""
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
    """One a process: for what threads may share."""
    hook: Hook[T] = Hook(function, SimpleNamespace())
    DEFINED.per_process.append(hook)
    return hook


def per_thread(function: Function[T]) -> Hook[T]:
    """One a handler thread: for what they may not share."""
    hook: Hook[T] = Hook(function, threading.local())
    if hook.is_async:
        raise TypeError(f"{hook.name} is async, and the event loop has one thread; wanted: @per_process")
    DEFINED.per_thread.append(hook)
    return hook


def faults(*, with_loop: bool, defined: Registry = DEFINED) -> List[str]:
    """What is wrong between the hooks and the handlers, of which some are async or not."""
    if with_loop:
        return []
    return [f"the hook {hook.name} is async, and no handler is. Use a plain function with yield" for hook in defined.of_loop]
