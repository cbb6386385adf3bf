"""When hooks start and stop, in which order, and what is told of those that do not."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, Iterator, List, Optional, Set

import pytest

from kafka_worker.handler import lives
from kafka_worker.handler.hooks import Hook, Registry
from kafka_worker.handler.lives import Hooks, HookWaits
from tests.support.eventually import eventually

told: List[str] = []


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told.clear()
    monkeypatch.setattr(lives, "FIRST_PAUSE_SECONDS", 0.001)


def hook(name: str, errors: Optional[List[BaseException]] = None, *, bad_stop: bool = False) -> Hook[str]:
    """Tells of its start and stop. Its first starts raise these errors."""

    def function() -> Iterator[str]:
        if errors:
            raise errors.pop(0)
        told.append(f"{name} starts")
        yield name
        told.append(f"{name} stops")
        if bad_stop:
            raise ValueError(name)

    made: Hook[str] = Hook(function, SimpleNamespace())
    made.name = name
    return made


def end(hooks: Hooks, seconds: float = 5.0, busy: Optional[Set[str]] = None) -> None:
    hooks.stop(lambda: told.append("threads end"), lambda: busy or set(), seconds)


def test_hooks_stop_in_the_reverse_order_of_their_start_the_threads_before_the_process() -> None:
    hooks = Hooks(Registry([hook("a"), hook("b")], [hook("c"), hook("d")]))

    assert hooks.start()
    assert hooks.start_of_thread("handler-0")
    hooks.stop_of_thread("handler-0")
    end(hooks)

    assert told == [f"{name} starts" for name in "abcd"] + [f"{name} stops" for name in "dcba"]


def test_one_that_fails_is_started_again_alone_until_it_succeeds(caplog: pytest.LogCaptureFixture) -> None:
    hooks = Hooks(Registry([hook("a"), hook("b", [ConnectionError("refused"), SystemExit(1)]), hook("c")], []))

    assert hooks.start()

    assert told == ["a starts", "b starts", "c starts"]


def test_while_one_fails_or_takes_its_time_status_can_say_which_why_and_where() -> None:
    now = [0.0]
    waits = HookWaits(lambda: now[0])
    hooks = Hooks(Registry([hook("a", [ConnectionError("refused")] * 10_000)], []), waits)
    thread = threading.Thread(target=hooks.start)
    thread.start()
    eventually(lambda: "refused" in str(waits.all()), 5, "it has failed")
    early, now[0] = waits.trouble, 12.0
    waits.note("handler-0", "the hook b is being started")
    try:
        eventually(lambda: "refused" in waits.trouble, 5, "it has failed again")
        text = waits.trouble
    finally:
        end(hooks)
        thread.join(5)

    assert early == ""
    assert text == "the hook a can't be started: ConnectionError: «refused» (the process), for 12 s"
    assert not thread.is_alive()


def test_the_end_does_not_wait_for_one_that_fails_and_what_has_begun_is_stopped() -> None:
    hooks = Hooks(Registry([hook("a"), hook("b", [OSError()] * 10_000)], []))
    outcomes: List[bool] = []
    thread = threading.Thread(target=lambda: outcomes.append(hooks.start()))
    thread.start()
    eventually(lambda: told == ["a starts"], 5, "the first runs")

    end(hooks)
    thread.join(5)

    assert (outcomes, told) == ([False], ["a starts", "a stops"])


def test_one_whose_stop_raises_does_not_keep_the_others_from_theirs() -> None:
    hooks = Hooks(Registry([hook("a"), hook("b", bad_stop=True)], []))
    hooks.start()

    end(hooks)

    assert told[2:] == ["b stops", "a stops"]


def test_a_thread_that_is_cut_off_does_not_keep_the_process_from_its_stop() -> None:
    hooks = Hooks(Registry([hook("a")], [hook("c")]))
    hooks.start()
    hooks.start_of_thread("handler-0")

    end(hooks, busy={"handler-0"})

    assert told == ["a starts", "c starts", "threads end", "a stops"]


def test_one_that_hangs_at_its_stop_is_cut_off_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    release, lines = threading.Event(), []
    monkeypatch.setattr(lives.log, "error", lambda text, *arguments, **_: lines.append(text % arguments))

    def function() -> Iterator[None]:
        yield
        release.wait(5)

    hanging: Hook[Any] = Hook(function, SimpleNamespace())
    hooks = Hooks(Registry([hanging], []), HookWaits())
    hooks.start()

    end(hooks, seconds=0.02)
    release.set()

    assert lines == [f"Cut off: the hook {hanging.name} is being stopped (the process)"]


def test_one_that_the_end_interrupts_is_not_said_to_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As asyncio interrupts one that awaits something when its loop is stopped."""
    stopped, lines, waits = threading.Event(), [], HookWaits()
    monkeypatch.setattr(lives, "FIRST_PAUSE_SECONDS", 5.0)
    monkeypatch.setattr(lives.log, "error", lambda text, *arguments, **_: lines.append(text % arguments))

    def function() -> Iterator[None]:
        stopped.wait(5)
        raise RuntimeError("stopped")
        yield

    starting: Hook[Any] = Hook(function, SimpleNamespace())
    hooks = Hooks(Registry([], [starting]), waits)

    def live() -> None:
        hooks.start_of_thread("event-loop")
        hooks.stop_of_thread("event-loop")

    thread = threading.Thread(target=live)
    thread.start()
    eventually(waits.all, 5, "it is being started")

    hooks.stop(stopped.set, set, 5.0)
    thread.join(5)

    end_of_it = "can't be started: RuntimeError: «stopped» (event-loop). The end comes before it"
    assert lines == [f"the hook {starting.name} {end_of_it}"]
