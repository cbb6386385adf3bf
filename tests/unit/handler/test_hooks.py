"""What `@per_process` and `@per_thread` make of a function."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from types import SimpleNamespace
from typing import Any, AsyncIterator, Iterator, List

import pytest

from kafka_worker import per_process, per_thread
from kafka_worker.handler import hooks
from kafka_worker.handler.hooks import Hook, HookError, Registry
from kafka_worker.handler.routing import Handlers
from tests.unit.fakes import some_settings

pytestmark = pytest.mark.usefixtures("defined")


def number() -> Iterator[int]:
    yield 7


async def loop_number() -> AsyncIterator[int]:
    yield 7


def of_url(url: str) -> Iterator[str]:
    yield url


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
    with pytest.raises(TypeError, match=r"yield.*; builtins.int is none"):
        per_process(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"no other decorator \(as @contextmanager\) between; .*test_hooks.number is none"):
        per_process(contextlib.contextmanager(number))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"a hook is called without arguments: .*of_url: missing a required argument: 'url'"):
        per_thread(of_url)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"loop_number is async, and the event loop has one thread; wanted: @per_process"):
        per_thread(loop_number)


def test_one_function_with_arguments_may_make_several_hooks() -> None:
    made = [per_process(functools.partial(of_url, url)) for url in ("primary", "replica")]
    managers = [hook.start(drive) for hook in made]

    assert [hook() for hook in made] == ["primary", "replica"]
    assert made[0].name.endswith("test_hooks.of_url")

    for hook, manager in zip(made, managers):
        hook.stop(manager, drive)


def test_one_whose_tasks_fail_is_told_at_once_and_not_only_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a group of tasks does it: the task that has opened it is cancelled."""
    lines: List[str] = []
    monkeypatch.setattr(hooks.log, "error", lambda text, *arguments, **_: lines.append(text % arguments))
    loop = asyncio.new_event_loop()

    async def group() -> AsyncIterator[None]:
        opener = asyncio.current_task()
        assert opener
        loop.call_later(0.01, opener.cancel)
        try:
            yield
        except asyncio.CancelledError:
            raise ConnectionError("a task has failed") from None

    hook: Hook[None] = Hook(group, SimpleNamespace())
    manager = hook.start(loop.run_until_complete)
    loop.run_until_complete(asyncio.sleep(0.02))
    early = list(lines)
    with pytest.raises(ConnectionError):
        hook.stop(manager, loop.run_until_complete)
    loop.close()

    assert early == [f"The hook {hook.name} has come to its end by itself"]


def test_an_async_hook_without_an_async_handler_is_a_fault_of_the_configuration(defined: Registry) -> None:
    per_process(loop_number)

    faults = Handlers(some_settings(handler="builtins:repr")).faults

    assert [hook.is_async for hook in defined.of_loop] == [True]
    assert len(faults) == 1
    assert "loop_number is async, and no handler is" in faults[0]
