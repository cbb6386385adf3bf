"""What `@per_process` and `@per_thread` make of a function."""

from __future__ import annotations

import contextlib
import threading
from typing import Any, AsyncIterator, Iterator, List

import pytest

from kafka_worker import per_process, per_thread
from kafka_worker.handler.hooks import Hook, HookError, Registry
from kafka_worker.handler.routing import Handlers
from tests.unit.fakes import some_settings

pytestmark = pytest.mark.usefixtures("defined")


def number() -> Iterator[int]:
    yield 7


async def loop_number() -> AsyncIterator[int]:
    yield 7


def drive(_awaitable: Any) -> None:
    raise AssertionError


def test_a_hook_gives_what_it_yielded_while_it_runs_and_says_who_asks_too_early_or_too_late() -> None:
    hook: Hook[int] = per_process(number)
    with pytest.raises(HookError, match=r"the hook .*test_hooks\.number has not been started in this process, or thread"):
        hook()
    manager = hook.start(drive)

    assert hook() == 7

    hook.stop(manager, drive)
    with pytest.raises(HookError):
        hook()


def test_what_is_one_a_thread_is_another_in_each_and_nothing_in_threads_of_others() -> None:
    found: List[object] = []

    def function() -> Iterator[object]:
        yield object()

    hook = per_thread(function)
    hook.start(drive)

    def in_another() -> None:
        with contextlib.suppress(HookError):
            hook()
            found.append("of another thread")
        hook.start(drive)
        found.append(hook())

    thread = threading.Thread(target=in_another)
    thread.start()
    thread.join()

    assert len(found) == 1
    assert found[0] is not hook()


def test_what_is_no_hook_is_said_where_it_is_defined() -> None:
    with pytest.raises(TypeError, match=r"a hook is a function with one yield"):
        per_process(int)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"loop_number is async, and the event loop has one thread; wanted: @per_process"):
        per_thread(loop_number)


def test_an_async_hook_without_an_async_handler_is_a_fault_of_the_configuration(defined: Registry) -> None:
    per_process(loop_number)

    faults = Handlers(some_settings(handler="builtins:repr")).faults

    assert [hook.is_async for hook in defined.of_loop] == [True]
    assert len(faults) == 1
    assert "loop_number is async, and no handler is" in faults[0]
