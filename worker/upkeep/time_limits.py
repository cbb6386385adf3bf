"""Time limits of calls, kept by the main thread. Beyond the first a call is told so (`Context.cancelled`), and it is logged
where it is; beyond the second it hangs: its message becomes a suspect. What follows (the process drains without it, and is
replaced) is for others to do.

How long a call has run is counted in awake seconds of whoever looks: while the whole process was frozen, so was the call.
"""

from __future__ import annotations

import logging
import time
from typing import Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from kafka_worker.isolation import isolated
from kafka_worker.partitions.task import Task, attempt_of, facts_of, id_of, in_words, is_void, message_of, partition_of
from kafka_worker.pools import stacks
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.recovery.suspects_file import SuspectsFile
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system.awake import AwakeClock
from kafka_worker.shared.topic_settings import ByTopic, TopicSettings

log = logs.logger(__name__)

CHECK_SECONDS = 0.1  # between two looks, at least
LONGEST_LOOK = 0.5  # seconds between two looks; whoever comes later was kept from it, and so were the calls

Running = Callable[[], Iterable[Tuple[HandlerThread, Task]]]


class TimeLimits:
    """The time limits of one process, kept by its main thread."""

    def __init__(
        self,
        settings: Settings,
        running: Running,
        suspects: SuspectsFile,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`running()`: what runs now. In task processes the second limit is kept by whoever waits for them."""
        self._apart = settings.isolation == "process"
        self._calls = RunningCalls(ByTopic(settings.of, self._limits), clock())
        self._any = any(own.handler_timeout_seconds or own.handler_kill_seconds for own in settings.each())
        self._running = running
        self._suspects = suspects
        self._clock = clock
        self._next = 0.0
        self._hang = False  # a call, and nobody was told yet

    def _limits(self, own: TopicSettings) -> Limits:
        return Limits(own.handler_timeout_seconds, 0.0 if self._apart else own.handler_kill_seconds)

    def check(self) -> bool:
        """Tell of what has gone past a limit; whether a call hangs, so that this process has to be replaced. Not before it is
        written down whose fault that is: it would hang the next one too."""
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + CHECK_SECONDS
        if self._any:
            self._check(now)
        replaced = self._suspects.write_owed() and self._hang
        self._hang = self._hang and not replaced
        return replaced

    def _check(self, now: float) -> None:
        overruns = self._calls.overruns(filter(_is_called, self._running()), now)
        hung = [overrun for overrun in overruns if overrun.hard]
        for overrun in overruns:
            if overrun.hard:
                what = f"HANDLER_KILL_SECONDS = {overrun.limit:g}: this process drains without it and is replaced"
                self._log(logging.ERROR, overrun, what)
            else:
                what = f"HANDLER_TIMEOUT_SECONDS = {overrun.limit:g}: it is told that it is cancelled"
                self._log(logging.WARNING, overrun, what)
        for limit in {overrun.limit for overrun in hung}:  # a thousand may hang at once, and each change costs milliseconds
            tasks = [id_of(overrun.task) for overrun in hung if overrun.limit == limit]
            self._suspects.blame(tasks, f"ran for longer than HANDLER_KILL_SECONDS = {limit:g}")
            self._hang = True

    def _log(self, level: int, overrun: Overrun, what: str) -> None:
        """One record with the stack beneath, which keeps its lines as a traceback does."""
        task = overrun.task
        words = (in_words(task), overrun.seconds, overrun.thread.name, attempt_of(task), what)
        text = "%s, running for %.1f s in %s (attempt %d): longer than %s"
        # A task process logs its own, when it hears of it.
        stack = None if self._apart or overrun.thread.apart else stacks.text(overrun.thread.calls())
        log.log(level, text, *words, extra=about(Event.TASK_LATE, **facts_of(task), stack=stack))


def _is_called(running: Tuple[HandlerThread, Task]) -> bool:
    """No call has begun of what waits for its thread's task process: the limit is the handler's, and not that of its start."""
    process = isolated.in_thread(running[0].name)
    return process is None or process.has_task


class Limits(NamedTuple):
    """Those of one topic's calls, in seconds; 0: there is no such limit."""

    soft: float
    hard: float


class Overrun(NamedTuple):
    """A call that has just gone past a limit."""

    thread: HandlerThread
    task: Task
    seconds: float
    hard: bool  # whether it is the second one
    limit: float  # seconds


class RunningCall:
    """A call that runs."""

    __slots__ = ("limits", "started", "task", "thread", "told", "unseen")

    def __init__(self, thread: HandlerThread, task: Task, limits: Limits, started: float, unseen: float) -> None:
        """Begun at `started` by the clock; at `unseen`, in awake seconds, it was not there yet."""
        self.thread = thread
        self.task = task
        self.limits = limits
        self.started = started
        self.unseen = unseen
        self.told = False  # of the first limit

    def seconds(self, now: float, awake: float) -> float:
        """How long it has run; as far as the clock tells, or less."""
        return min(now - self.started, awake - self.unseen)


class RunningCalls:
    """What was seen running, look after look. Pure: who looks passes the time. Either limit is noticed once a call."""

    def __init__(self, limits: Mapping[str, Limits], now: float) -> None:
        """`limits`: by topic. Nothing runs yet at `now` (monotonic seconds)."""
        self._limits = limits
        self._awake = AwakeClock(now, LONGEST_LOOK)
        self._calls: Dict[Tuple[int, float], RunningCall] = {}  # by what a call is: a task, and when it began

    def overruns(self, running: Iterable[Tuple[HandlerThread, Task]], now: float) -> List[Overrun]:
        """What has gone past a limit since the last look, at `now` (monotonic seconds)."""
        before, awake = self._awake.seconds, self._awake.tick(now)
        ended, self._calls = self._calls, {}
        for thread, task in running:
            started = thread.started
            call = (id(task), started)
            known = ended.pop(call, None)
            self._calls[call] = known or RunningCall(thread, task, self._limits_of(task), started, before)
        for each in ended.values():
            partition_of(each.task).overdue.pop(_place_in_context(each.task), None)
        overruns = [self._overrun(each, each.seconds(now, awake), now) for each in self._calls.values()]
        return [overrun for overrun in overruns if overrun is not None]

    def _limits_of(self, task: Task) -> Limits:
        return self._limits[partition_of(task).queue.topic]

    def _overrun(self, call: RunningCall, seconds: float, now: float) -> Optional[Overrun]:
        thread, task, (soft, hard) = call.thread, call.task, call.limits
        if hard and seconds >= hard and not thread.apart and not thread.hangs(task):
            thread.hung[id(task)] = task
            return Overrun(thread, task, seconds, hard=True, limit=hard)
        if soft and seconds >= soft and not (call.told or is_void(task)):  # of what is parked nobody waits for the end
            call.told = True
            partition_of(task).overdue[_place_in_context(task)] = now + hard - seconds if hard else None
            return Overrun(thread, task, seconds, hard=False, limit=soft)
        return None


def is_late(task: Task) -> bool:
    """Whether its call has gone past the first limit, and runs on."""
    return _place_in_context(task) in partition_of(task).overdue


def _place_in_context(task: Task) -> Tuple[int, int]:
    """Where it is, in the form in which the handler's context knows it."""
    return message_of(task).partition(), message_of(task).offset()
