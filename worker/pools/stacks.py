"""Where a handler's code is, for the log. Source lines only, no values: those may be a message's."""

from __future__ import annotations

import os
import sys
import traceback
from types import FrameType
from typing import Any, Dict, Iterator, List, Optional, Tuple

from kafka_worker.shared import collector

MOST_CALLS = 40  # of a stack, the innermost ones
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

Calls = traceback.StackSummary
PlainCalls = List[Tuple[str, int, str, str]]  # file, line, function, code


def frames() -> Dict[int, FrameType]:
    """Where all threads are. Nothing is collected meanwhile: before Python 3.12 a finalizer in the midst of this, and a thread
    that ends then, wait for each other for ever (CPython issue 106883)."""
    with collector.held_off():
        return sys._current_frames()  # noqa: SLF001 (documented, for just this)


def of_thread(ident: int) -> Calls:
    """Where a thread is, the innermost call last; empty: it has ended."""
    frame = frames().get(ident)
    return Calls() if frame is None else traceback.extract_stack(frame)


def of_coroutine(coroutine: Any) -> Calls:
    """Where a coroutine waits, through everything that it awaits, the innermost last. (`asyncio.Task.get_stack` gives the
    outermost only.)"""
    return Calls.extract(_waiting(coroutine))


def _waiting(coroutine: Any) -> Iterator[Tuple[FrameType, int]]:
    """(frame, line) of a suspended coroutine, and of each that it waits for."""
    inner: Optional[Any] = coroutine
    for _ in range(MOST_CALLS):  # its thread may go on meanwhile: nothing here can be taken for granted
        frame = getattr(inner, "cr_frame", None) or getattr(inner, "gi_frame", None)
        if frame is None:
            return
        yield frame, frame.f_lineno
        inner = getattr(inner, "cr_await", None) or getattr(inner, "gi_yieldfrom", None)


def of_handler(calls: Calls) -> Calls:
    """The same without our own calls that led to the handler; all of them, if they led to none."""
    ours = [call.filename.startswith(_OURS) for call in calls]
    behind = next((place for place, (here, next_) in enumerate(zip(ours, ours[1:]), 1) if here and not next_), 0)
    return Calls.from_list(list(calls[behind:]))


def plain(calls: Calls) -> PlainCalls:
    """For other processes."""
    return [(call.filename, call.lineno or 0, call.name, call.line or "") for call in calls[-MOST_CALLS:]]


def checked(said: Any) -> PlainCalls:
    """What another process says that `plain` has given it, as far as it is that."""
    found = [tuple(each) for each in said if isinstance(each, list)] if isinstance(said, list) else []
    return [each for each in found[-MOST_CALLS:] if tuple(map(type, each)) == (str, int, str, str)]


def text(calls: Calls) -> str:
    """For the log."""
    if not calls:
        return "(no stack: it has ended)"
    return "Stack (innermost call last):\n" + "".join(traceback.format_list(calls[-MOST_CALLS:])).rstrip()
