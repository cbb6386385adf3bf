"""Hooks of a handler that is tested."""

from __future__ import annotations

import threading
from typing import Any, AsyncIterator, Callable, Iterator, List, Optional

import pytest

from kafka_worker import per_process, per_thread
from kafka_worker.handler.hooks import HookError, Registry
from kafka_worker.handler.loading import HandlerError
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.testing import TestWorker


def nothing(_message: Any) -> None:
    """Is called by nobody."""


@pytest.fixture
def told(defined: Registry) -> List[str]:
    """What the hooks of a test say; they are forgotten after it."""
    assert defined == ([], [])
    return []


def hook(kind: Callable[..., Any], name: str, told: List[str], *, refuses: bool = False) -> Any:
    def function() -> Iterator[str]:
        if refuses:
            raise ConnectionRefusedError("no database")
        told.append(f"{name} starts")
        yield name
        told.append(f"{name} stops")

    return kind(function)


def test_hooks_start_before_the_first_message_stop_after_the_last_and_a_test_may_replace_them(told: List[str]) -> None:
    database, session = hook(per_process, "database", told), hook(per_thread, "session", told)
    mail = hook(per_process, "mail", told, refuses=True)
    seen: List[Any] = []

    def handle(_message: Any) -> None:
        told.append("works")
        seen.append((database(), session(), mail()))

    with TestWorker(handle, replace={mail: "a fake"}, threads=2) as worker:
        assert worker.run({}).done
    assert seen == [("database", "session", "a fake")]
    expected = ["database starts", *2 * ["session starts"], "works", *2 * ["session stops"], "database stops"]
    assert told == expected

    with TestWorker(handle, hooks=[database], max_attempts=1) as worker:
        assert "has not been started" in str(worker.run({}).error)


def test_a_thread_that_a_hook_starts_is_the_hooks_own_and_the_end_does_not_wait_for_it(
    told: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Waiting(threading.Thread):
        def join(self, timeout: Optional[float] = None) -> None:
            told.append(f"joined for {timeout} s")

    start, runs = Pool.start, threading.Event()

    def start_with_hooks(pool: Pool) -> None:
        start(pool)
        runs.wait(10)

    monkeypatch.setattr(Pool, "start", start_with_hooks)
    ends = threading.Event()

    @per_thread
    def session() -> Iterator[None]:
        Waiting(target=ends.wait, daemon=True).start()
        runs.set()
        yield

    with TestWorker(nothing):
        pass
    ends.set()

    assert told == []


def test_the_hooks_of_other_services_that_a_test_run_has_imported_are_none_of_a_workers(told: List[str]) -> None:
    ours = hook(per_process, "ours", told)

    @per_process
    async def of_an_async_service() -> AsyncIterator[None]:
        yield

    with pytest.raises(HandlerError, match="of_an_async_service is async, and no handler is"):
        TestWorker(nothing, hooks=[ours, of_an_async_service])
    with TestWorker(nothing), TestWorker(nothing, hooks=[]):
        assert ours() == "ours"
    with TestWorker(nothing, replace={of_an_async_service: "a fake"}):
        assert of_an_async_service() == "a fake"


def test_of_two_workers_at_once_the_second_does_not_take_the_hooks_of_the_first(told: List[str]) -> None:
    database = hook(per_process, "database", told)
    with TestWorker(nothing):
        with pytest.raises(HookError, match=r"it runs already .*one TestWorker at a time"), TestWorker(nothing):
            pass
        assert database() == "database"

    assert told == ["database starts", "database stops"]


@pytest.mark.parametrize("kind", [per_process, per_thread])
def test_a_hook_that_fails_ends_the_test_and_what_has_begun_is_stopped(kind: Any, told: List[str]) -> None:
    hook(per_process, "database", told)
    hook(kind, "bad", told, refuses=True)

    with pytest.raises(HookError, match=r"hook.*can't be started: ConnectionRefusedError: «no database»"), TestWorker(nothing):
        pass

    assert told == ["database starts", "database stops"]
