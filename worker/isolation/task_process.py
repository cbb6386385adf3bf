"""Handlers in processes of their own: our side. A task that ends its process, or is killed because it takes too long, costs
that process and nothing else.

The thread that runs a task waits for its outcome. Meanwhile it passes on that the task is cancelled, and watches two limits:
the task's own, and that of its process's silence.
"""

from __future__ import annotations

import math
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from kafka_worker import start
from kafka_worker.handler.lives import HOOK_WAITS
from kafka_worker.handler.loading import HandlerError
from kafka_worker.isolation.frames import LOST, GarbledError
from kafka_worker.isolation.spawn import TICK_SECONDS, Spawned
from kafka_worker.isolation.watchdog import Watchdog
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.dependencies import Outcome
from kafka_worker.partitions.task import failed_before
from kafka_worker.pools import stacks
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.foreign.answers import Send
from kafka_worker.shared.foreign.errors import InabilityError, PlainError, UndecodableError
from kafka_worker.shared.foreign.exceptions import RemoteTraceback, rebuilt
from kafka_worker.shared.foreign.headers import headers_of
from kafka_worker.shared.settings import Settings

log = logs.logger(__name__)

PAUSE_SECONDS = 2.0  # between two tries to have a task process, where none could be had

#: Whether a task is cancelled, by what (an Event; empty: its partition goes away), and until when its result counts.
Wish = Tuple[bool, str, Optional[float]]


class TaskDiedError(PlainError):
    """The task process ended, or was killed, while it ran this task."""

    def __init__(self, how: str, peak_memory: int, last_stack: str) -> None:
        """`how`: "killed by SIGSEGV", "exit 42", "killed after 30.0 s", "silent for 30.0 s"; `peak_memory`: the most that the
        process had, in bytes; `last_stack`: of its threads, the last calls first, where it left one."""
        super().__init__(f"its task process: {how} (peak memory {peak_memory >> 20} MiB)")
        self.how = how
        self.peak_memory = peak_memory
        self.last_stack = last_stack


class TaskProcessError(InabilityError):
    """No task process can be had: it can't be started, has not loaded its handler, or ended before the task began, or was
    stopped from outside for too long. That is an inability of ours, or of the machine, and no task's fault."""

    what = "no task process can be had: "
    again_after = 5.0


class ConnectionLostError(PlainError):
    """The outcome of a task did not come through, as when its handler closes or writes into descriptors that are not its own.
    A failure of that attempt, and no death."""


class TaskProcess:
    """A place for one task process after the other, each of which runs any number of tasks. One thread at a time may use
    it."""

    def __init__(self, settings: Settings, slot: int, name: str, environment: Optional[Mapping[str, str]] = None) -> None:
        """Starts nothing yet. `name` is for the log; `environment`: that of this process, as it was started, if not given."""
        self._settings = settings
        self._environment = start.ENVIRONMENT if environment is None else environment
        self._slot = slot
        self._name = name
        self._process: Optional[Spawned] = None
        self._number = 0  # of the last task
        self.has_task = False  # it runs one, or is about to: what it takes to have a process is over. Any thread may look
        self.calls: Optional[stacks.PlainCalls] = None  # where its handler was when asked last; None: it has not said it
        self._calls_wanted = False
        self._lack, self._again_at = "", -math.inf  # why there was none, and when (monotonic seconds) it is tried again

    def start(self) -> None:
        """Start the process, if there is none, and wait until it has loaded the handler, as long as that takes. Raises
        HandlerError when the handler can't be loaded, and TaskProcessError when the process ends, or can't be started."""
        self._living()

    @property
    def pid(self) -> int:
        """Of the process that runs tasks now; 0: none does."""
        process = self._process
        return process.pid if process else 0

    def run(
        self,
        message: Any,
        partition: Partition,
        attempt: int,
        kill_after: Optional[float] = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Any:
        """Run the handler on one message; what it returned, if that is plain data or a `Send`, else None. Raises what the
        handler raised (a RemoteError, or Retry, Reject and UndecodableError as they are), TaskDiedError when the process did
        not survive it, TaskProcessError when the task did not even begin, and ConnectionLostError.

        `kill_after`: seconds after which the process is killed. `cancelled`: whether the task has taken so long that it is to
        be told, and its stack to be logged, looked at again and again; that its partition is closed is seen without it."""
        try:
            process = self._prepared()
        except HandlerError as fault:
            raise TaskProcessError(f"the handler can't be loaded: {fault}") from None
        self._number += 1
        self.has_task = True
        watchdog = Watchdog(kill_after, self._settings.heartbeat_timeout_seconds, time.monotonic())
        try:
            process.work.send((self._number, int(attempt), _described(message)))
            kind, content, calls, spent = self._outcome(process, watchdog, lambda: _wish(message, partition, cancelled))
        except (OSError, EOFError):
            problem = self._ended(process, by_itself=process.see_it_end())
            raise problem from problem.__cause__
        except GarbledError as problem:
            process.kill()
            self.close()
            raise ConnectionLostError(str(problem)) from None
        finally:
            self.has_task = False
        if spent:
            log.warning(
                "%s: process %d has all files open that it may have, and is replaced",
                self._name, process.pid, extra=about(Event.TASK_PROCESS_ENDED, reason="out of files"),
            )  # fmt: skip
            self.close()
        error = rebuilt(content) if kind == "raised" else None
        _pass_on(calls, partition, error, failed_before(attempt))
        if error is not None:
            if content.get("headers"):
                message.set_headers(content["headers"])
            raise error
        return [Send(*fields) for fields in content] if kind == "send" else content

    def want_calls(self) -> None:
        """Have it say where its handler is, if that runs: `calls` tells soon. Any thread."""
        self.calls, self._calls_wanted = None, True

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def _living(self) -> Spawned:
        """The process, ready for a task. One that ended between two tasks ended by no task."""
        if self._process is not None and self._process.ended():
            log.warning(
                "%s: process %d ended between two tasks: %s",
                self._name, self._process.pid, self._process.how,
                extra=about(Event.TASK_PROCESS_ENDED, reason=self._process.how),
            )  # fmt: skip
            self.close()
        if self._process is None:
            self._process = self._another()
        return self._process

    def _prepared(self) -> Spawned:
        """The process, with its hooks started."""
        process = self._living()
        if process.is_prepared:
            return process
        try:
            fault = process.prepared(lambda what: HOOK_WAITS.note(self._name, what))
        except (OSError, EOFError, GarbledError):
            process.see_it_end()
            fault = f"the task process ended before it could run anything: {process.how}"
        finally:
            HOOK_WAITS.over(self._name)
        if fault is not None:
            self.close()
            self._lack, self._again_at = fault, time.monotonic() + PAUSE_SECONDS
            raise TaskProcessError(fault)
        return process

    def _another(self) -> Spawned:
        """Where none can be had it is not tried for each task that waits: that would take what the machine has left."""
        if time.monotonic() < self._again_at:
            raise TaskProcessError(self._lack)
        try:
            return self._started()
        except (HandlerError, TaskProcessError) as problem:
            self._lack, self._again_at = str(problem), time.monotonic() + PAUSE_SECONDS
            raise

    def _started(self) -> Spawned:
        try:
            process = Spawned(self._settings, f"slot-{self._slot}/{self._name}", self._environment)
        except Exception as problem:  # descriptors, memory, processes, threads, a folder: whatever it is that is missing
            raise TaskProcessError(f"no task process can be started: {problem}") from problem
        try:
            fault = process.loaded()
        except (OSError, EOFError, GarbledError):
            process.see_it_end()
            process.close()
            raise TaskProcessError(f"the task process ended before it could run anything: {process.how}") from None
        if fault is not None:
            process.close()
            raise HandlerError(fault)
        log.info("%s: process %d runs tasks", self._name, process.pid, extra=about(Event.TASK_PROCESS_STARTED))
        return process

    def _outcome(self, process: Spawned, watchdog: Watchdog, wish: Callable[[], Wish]) -> Any:
        passed_on: Wish = (False, "", None)
        outcome = None
        while outcome is None:
            now = wish()
            if now[0] and now != passed_on:
                process.control.send({"cancel": self._number, "why": now[1], "deadline": now[2]})
                passed_on = now
            process.wait(TICK_SECONDS)
            outcome = process.answer(self._number)
            if outcome is None:
                process.work.flush()
                self._watch(process, watchdog)
        return outcome

    def _watch(self, process: Spawned, watchdog: Watchdog) -> None:
        """Hear and ask whether it lives; kill it when a limit is over. Raises TaskDiedError, TaskProcessError when it was
        stopped from outside, or EOFError when it has ended."""
        said = process.control.receive()
        for message in said:
            if "calls" in message:
                self.calls = stacks.checked(message["calls"])
        if self._calls_wanted:
            self._calls_wanted = False
            process.control.offer({"calls": True})
        process.must_live()
        stopped = process.stopped
        if watchdog.check(time.monotonic(), heard=bool(said), stopped=stopped):
            process.control.offer({"ping": True})
        if watchdog.reason is not None:
            process.abort()
            if stopped:
                self.close()
                raise TaskProcessError(f"the task process was stopped (SIGSTOP, a debugger) and {watchdog.reason}")
            raise self._died(process, watchdog.reason)

    def _ended(self, process: Spawned, *, by_itself: bool) -> PlainError:
        """What its end in the middle of a task was."""
        if process.work.pending:  # it never got the whole task
            self.close()
            return TaskProcessError(f"the task process ended before the task began: {process.how}")
        if process.code == LOST or not by_itself:
            self.close()
            return ConnectionLostError("its task process has lost its connection: the handler closes descriptors of others")
        return self._died(process, str(process.how))

    def _died(self, process: Spawned, how: str) -> TaskDiedError:
        stack = process.last_stack()
        self.close()
        error = TaskDiedError(how, process.peak_memory, stack)
        error.__cause__ = RemoteTraceback(stack) if stack else None
        log.error(
            "%s: process %d ended in the middle of a task: %s",
            self._name, process.pid, how, exc_info=error, extra=about(Event.TASK_PROCESS_ENDED, reason=how),
        )  # fmt: skip
        return error


def _wish(message: Any, partition: Partition, cancelled: Callable[[], bool]) -> Wish:
    if partition.closing.closed:
        return True, "", partition.closing.deadline
    if partition.parked and (message.partition(), message.offset()) in partition.parked:
        return True, Event.PARKED.value, None
    return (True, Event.TASK_LATE.value, None) if cancelled() else (False, "", None)


def _pass_on(calls: List[Tuple[Any, ...]], partition: Partition, raised: Optional[Exception], before: float) -> None:
    """Calls of dependencies, to those who would have been told of them here. One that led to what the handler raised is told
    with that very error."""
    for name, began, error, led_to_it in calls:
        problem = raised if led_to_it else None if error is None else rebuilt(error)
        partition.dependencies.ended.append(Outcome(name, partition.queue.topic, partition.closing, began, problem, before))


def _described(message: Any) -> Dict[str, Any]:
    """The message as plain data, for `main.RemoteMessage`."""
    headers: Any
    try:
        headers = headers_of(message)
    except UndecodableError as problem:  # to be raised where the handler asks for them, if it does
        headers = str(problem)
    return {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "key": message.key(),
        "value": message.value(),
        "headers": headers,
        "timestamp": message.timestamp(),
    }
