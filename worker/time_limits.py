"""Which calls have run for too long. Pure: who looks passes the time.

Two limits: beyond the first a call is told so (`Context.cancelled`), beyond the second its process is given up. Either is
noticed once a call. A call is the tuple of its task, which is a new one with each attempt.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from worker.lanes import Task
from worker.pool import HandlerThread


class Overrun(NamedTuple):
    """A call that has just gone past a limit."""

    thread: HandlerThread
    task: Task
    seconds: float
    hard: bool  # the second limit


class TimeLimits:
    """Looks again and again at what runs. One thread's alone."""

    def __init__(self, soft: float, hard: float) -> None:
        """Seconds; 0: no such limit."""
        self._soft = soft
        self._hard = hard
        self._told: Dict[HandlerThread, Task] = {}

    def look(self, running: Iterable[Tuple[HandlerThread, Task]], now: float) -> List[Overrun]:
        """What has gone past a limit since the last look, at `now` (monotonic seconds)."""
        calls = list(running)
        self._forget(dict(calls))
        overruns = [self._overrun(thread, task, now - thread.started) for thread, task in calls]
        return [overrun for overrun in overruns if overrun is not None]

    def _overrun(self, thread: HandlerThread, task: Task, seconds: float) -> Optional[Overrun]:
        # `seconds` may be too few, when the thread has gone on to its next task meanwhile, never too many.
        if self._hard and seconds >= self._hard and not thread.apart and thread.hung is not task:
            thread.hung = task
            return Overrun(thread, task, seconds, hard=True)
        if self._soft and seconds >= self._soft and self._told.get(thread) is not task:
            self._told[thread] = task
            task[1].partition.overdue[task[0]] = thread.started + self._hard if self._hard else None
            return Overrun(thread, task, seconds, hard=False)
        return None

    def _forget(self, running: Dict[HandlerThread, Task]) -> None:
        """Calls that have come to their end."""
        for thread, task in list(self._told.items()):
            if running.get(thread) is not task:
                del self._told[thread]
                task[1].partition.overdue.pop(task[0], None)
