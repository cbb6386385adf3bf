"""Stacks of handlers: without what of ours led to them, and as plain data."""

from __future__ import annotations

import gc
import sys
import threading
import traceback
from typing import Any, List

import pytest

from kafka_worker.pools import stacks


def calls(*files: str) -> stacks.Calls:
    return stacks.Calls.from_list([traceback.FrameSummary(file, 7, "f", line="x()") for file in files])


OURS = stacks.__file__


@pytest.mark.parametrize(
    ("files", "left"),
    [
        (["/lib/threading.py", OURS, OURS, "/srv/tasks.py", "/lib/ssl.py"], ["/srv/tasks.py", "/lib/ssl.py"]),
        (["/lib/threading.py", OURS, "/srv/tasks.py", OURS], ["/srv/tasks.py", OURS]),
        (["/lib/threading.py", "/srv/tasks.py"], ["/lib/threading.py", "/srv/tasks.py"]),
        (["/lib/threading.py", OURS], ["/lib/threading.py", OURS]),
        ([], []),
    ],
)
def test_a_handlers_stack_begins_with_its_own_code(files: List[str], left: List[str]) -> None:
    assert [call.filename for call in stacks.of_handler(calls(*files))] == left


def test_of_a_long_stack_the_innermost_calls_are_passed_on_and_arrive_as_they_are() -> None:
    plain = stacks.plain(calls(*(f"/srv/{number}.py" for number in range(100))))

    assert len(plain) == stacks.MOST_CALLS
    assert plain[-1] == ("/srv/99.py", 7, "f", "x()")
    assert stacks.checked([list(each) for each in plain]) == plain


@pytest.mark.parametrize(
    "said", [None, "x", {}, [None], [["a.py", "1", "f", ""]], [["a.py", 1, "f"]], [["a.py", True, "f", ""]]]
)
def test_what_another_process_says_and_is_no_stack_is_none(said: Any) -> None:
    assert stacks.checked(said) == []


def test_a_thread_that_has_ended_is_nowhere() -> None:
    ended = threading.Thread(target=lambda: None)
    ended.start()
    ended.join()

    assert stacks.text(stacks.of_thread(ended.ident or 0)) == "(no stack: it has ended)"


@pytest.mark.parametrize("collects", [True, False])
def test_while_it_is_looked_where_threads_are_nothing_is_collected_which_could_wait_for_ever(
    monkeypatch: pytest.MonkeyPatch, collects: bool
) -> None:
    really = sys._current_frames
    meanwhile: List[bool] = []

    def look() -> Any:
        meanwhile.append(gc.isenabled())
        return really()

    monkeypatch.setattr(sys, "_current_frames", look)
    if not collects:
        gc.disable()
    try:
        found, after = stacks.frames(), gc.isenabled()
    finally:
        gc.enable()

    assert threading.get_ident() in found
    assert (meanwhile, after) == ([False], collects)
