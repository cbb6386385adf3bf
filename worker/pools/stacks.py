"""Where the code of a handler is, for the log. Source lines only, no values: those may be a message's."""

from __future__ import annotations

import sys
import traceback
from types import FrameType
from typing import Any, Iterator, List, Optional, Tuple

MOST_CALLS = 40  # of a stack, the innermost ones


def of_thread(ident: int) -> str:
    """Where a thread is, the innermost call last."""
    frame = sys._current_frames().get(ident)  # noqa: SLF001 (documented, for just this)
    if frame is None:
        return "(no stack: it has ended)"
    return _told(traceback.extract_stack(frame))


def of_coroutine(coroutine: Any) -> str:
    """Where a coroutine waits, through everything that it awaits, the innermost last. (`asyncio.Task.get_stack` gives the
    outermost only.)"""
    return _told(traceback.StackSummary.extract(_waiting(coroutine)))


def _waiting(coroutine: Any) -> Iterator[Tuple[FrameType, int]]:
    """(frame, line) of a suspended coroutine, and of each that it waits for."""
    inner: Optional[Any] = coroutine
    for _ in range(MOST_CALLS):  # its thread may go on meanwhile: nothing of this may be taken for granted
        frame = getattr(inner, "cr_frame", None) or getattr(inner, "gi_frame", None)
        if frame is None:
            return
        yield frame, frame.f_lineno
        inner = getattr(inner, "cr_await", None) or getattr(inner, "gi_yieldfrom", None)


def _told(summary: traceback.StackSummary) -> str:
    calls: List[str] = traceback.format_list(summary[-MOST_CALLS:])
    return "Stack (innermost call last):\n" + "".join(calls).rstrip()
