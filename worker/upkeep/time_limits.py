"""Which calls have run for too long. Pure: who looks passes the time.

Two limits: beyond the first a call is told so (`Context.cancelled`), beyond the second its process is given up. Either is
noticed once a call.

How long a call has run is counted in awake seconds of whoever looks: while the whole process was frozen, so was the call.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from kafka_worker.partitions.lanes import Task
from kafka_worker.pools.thread_pool import HandlerThread
from kafka_worker.shared.system.awake import AwakeClock

LONGEST_LOOK = 0.5  # seconds between two looks; whoever comes later was kept from it, and so were the calls


class Overrun(NamedTuple):
    """A call that has just gone past a limit."""

    thread: HandlerThread
    task: Task
    seconds: float
    hard: bool  # the second limit


class Running:
    """A call that runs."""

    __slots__ = ("started", "task", "thread", "told", "unseen")

    def __init__(self, thread: HandlerThread, task: Task, started: float, unseen: float) -> None:
        """Begun at `started` by the clock; at `unseen`, in awake seconds, it was not there yet."""
        self.thread = thread
        self.task = task
        self.started = started
        self.unseen = unseen
        self.told = False  # of the first limit

    def seconds(self, now: float, awake: float) -> float:
        """How long it has run; as far as the clock tells, or less."""
        return min(now - self.started, awake - self.unseen)


class TimeLimits:
    """Looks again and again at what runs. One thread's alone."""

    def __init__(self, soft: float, hard: float, now: float) -> None:
        """Seconds; 0: no such limit. Nothing runs yet at `now` (monotonic seconds)."""
        self._soft = soft
        self._hard = hard
        self._awake = AwakeClock(now, LONGEST_LOOK)
        self._calls: Dict[Tuple[int, float], Running] = {}  # by what a call is: a task, and when it began

    def look(self, running: Iterable[Tuple[HandlerThread, Task]], now: float) -> List[Overrun]:
        """What has gone past a limit since the last look, at `now` (monotonic seconds)."""
        before, awake = self._awake.seconds, self._awake.tick(now)
        ended, self._calls = self._calls, {}
        for thread, task in running:
            started = thread.started
            call = (id(task), started)
            known = ended.pop(call, None)
            self._calls[call] = known or Running(thread, task, started, before)
        for each in ended.values():
            each.task[1].partition.overdue.pop(_place(each.task), None)
        overruns = [self._overrun(each, each.seconds(now, awake), now) for each in self._calls.values()]
        return [overrun for overrun in overruns if overrun is not None]

    def _overrun(self, call: Running, seconds: float, now: float) -> Optional[Overrun]:
        thread, task = call.thread, call.task
        if self._hard and seconds >= self._hard and not thread.apart and not thread.hangs(task):
            thread.hung[id(task)] = task
            return Overrun(thread, task, seconds, hard=True)
        if self._soft and seconds >= self._soft and not call.told:
            call.told = True
            task[1].partition.overdue[_place(task)] = now + self._hard - seconds if self._hard else None
            return Overrun(thread, task, seconds, hard=False)
        return None


def _place(task: Task) -> Tuple[int, int]:
    """As the handler's context knows it."""
    return task[2].partition(), task[2].offset()
