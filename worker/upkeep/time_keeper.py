"""Keeps the time limits of calls, on behalf of the main thread: says which handler takes too long and where it is, and names
the message of one that hangs a suspect. What follows (the process drains without it, and is replaced) is for others to do.
"""

from __future__ import annotations

import logging
import time
from typing import Callable, Iterable, Tuple

from kafka_worker.partitions.lanes import Task
from kafka_worker.pools.thread_pool import HandlerThread
from kafka_worker.recovery.suspects import Place
from kafka_worker.recovery.suspects_file import SuspectsFile
from kafka_worker.shared.settings import Settings
from kafka_worker.upkeep.time_limits import Overrun, TimeLimits

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1

Running = Callable[[], Iterable[Tuple[HandlerThread, Task]]]


class TimeKeeper:
    """Main thread only."""

    def __init__(
        self,
        settings: Settings,
        running: Running,
        suspects: SuspectsFile,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`running()`: what runs now. In task processes the second limit is kept by whoever waits for them."""
        self._soft = settings.handler_timeout_seconds
        self._hard = 0.0 if settings.isolation == "process" else settings.handler_kill_seconds
        self._apart = settings.isolation == "process"
        self._limits = TimeLimits(self._soft, self._hard, clock())
        self._running = running
        self._suspects = suspects
        self._clock = clock
        self._next = 0.0
        self._hang = False  # a call, and nobody was told yet

    def look(self) -> bool:
        """Tell of what has gone past a limit; whether a call hangs, so that this process has to be replaced. Not before it is
        written down whose fault that is: it would hang the next one too."""
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + LOOK_SECONDS
        if self._soft or self._hard:
            self._look(now)
        replaced = self._suspects.settle() and self._hang
        self._hang = self._hang and not replaced
        return replaced

    def _look(self, now: float) -> None:
        overruns = self._limits.look(self._running(), now)
        hung = [overrun for overrun in overruns if overrun.hard]
        for overrun in overruns:
            if overrun.hard:
                what = "HANDLER_KILL_SECONDS = %g: this process drains without it and is replaced" % self._hard
                self._log(logging.ERROR, overrun, what)
            else:
                what = "HANDLER_TIMEOUT_SECONDS = %g: it is told that it is cancelled" % self._soft
                self._log(logging.WARNING, overrun, what)
        if hung:  # a thousand coroutines may hang at once, and each change of the file costs milliseconds
            self._suspects.blame(map(_place, hung), "ran for longer than HANDLER_KILL_SECONDS = %g" % self._hard)
            self._hang = True

    def _log(self, level: int, overrun: Overrun, what: str) -> None:
        """One record with the stack beneath, which keeps its lines as a traceback does."""
        offset, segment, _message, _lane, attempt = overrun.task
        place = (segment.partition, offset, overrun.seconds, overrun.thread.name, attempt, what)
        text = "%s offset %d, running for %.1f s in %s (attempt %d): longer than %s"
        # A task process logs its own, when it hears of it.
        stack = None if self._apart or overrun.thread.apart else overrun.thread.stack()
        log.handle(log.makeRecord(log.name, level, __file__, 0, text, place, None, sinfo=stack))


def _place(overrun: Overrun) -> Place:
    offset, segment, *_ = overrun.task
    return segment.partition.topic, segment.partition.number, offset
