"""Which calls have run for too long. Pure: who looks passes the time.

Two limits: beyond the first a call is told so (`Context.cancelled`), beyond the second its process is given up. Either is
noticed once a call. A call is the tuple of its task, which is a new one with each attempt.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

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
        self._told: Dict[int, Task] = {}  # by identity: a thread may have a whole batch of them

    def look(self, running: Iterable[Tuple[HandlerThread, Task]], now: float) -> List[Overrun]:
        """What has gone past a limit since the last look, at `now` (monotonic seconds)."""
        calls = list(running)
        self._forget({id(task) for _, task in calls})
        overruns = [self._overrun(thread, task, now - thread.started) for thread, task in calls]
        return [overrun for overrun in overruns if overrun is not None]

    def _overrun(self, thread: HandlerThread, task: Task, seconds: float) -> Optional[Overrun]:
        # `seconds` may be too few, when the thread has gone on to its next task meanwhile, never too many.
        if self._hard and seconds >= self._hard and not thread.apart and not thread.hangs(task):
            thread.hung.append(task)
            return Overrun(thread, task, seconds, hard=True)
        if self._soft and seconds >= self._soft and id(task) not in self._told:
            self._told[id(task)] = task
            task[1].partition.overdue[_place(task)] = thread.started + self._hard if self._hard else None
            return Overrun(thread, task, seconds, hard=False)
        return None

    def _forget(self, running: Set[int]) -> None:
        """Calls that have come to their end."""
        for identity, task in list(self._told.items()):
            if identity not in running:
                del self._told[identity]
                task[1].partition.overdue.pop(_place(task), None)


def _place(task: Task) -> Tuple[int, int]:
    """As the handler's context knows it."""
    return task[2].partition(), task[2].offset()
