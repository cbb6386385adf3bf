"""Where handlers run: in our own threads, or, with ISOLATION=process, each thread's in a task process of its own, as those of
the quarantine always do."""

from __future__ import annotations

import functools
import threading
from typing import Any, Callable, Dict, Mapping, Optional

from kafka_worker.handler.hooks import Registry
from kafka_worker.handler.loading import Handler, Kind
from kafka_worker.handler.routing import Handlers
from kafka_worker.isolation.task_process import TaskProcess
from kafka_worker.partitions.assignment import Partition
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.topic_settings import ByTopic

_PROCESSES: Dict[str, TaskProcess] = {}  # of this process, by the name of their thread, which no other thread has


def in_thread(name: str) -> Optional[TaskProcess]:
    """The task process of the thread of this name, if it has one. Any thread."""
    return _PROCESSES.get(name)


def close_all() -> None:
    """End all of them: their threads have ended, and this process goes on."""
    while _PROCESSES:
        _PROCESSES.popitem()[1].close()


def handlers_of(settings: Settings, slot: int, environment: Optional[Mapping[str, str]] = None) -> Handlers:
    """The handlers, ready to be called in the way of ISOLATION; `environment`: see `TaskProcess`. Raises HandlerError."""
    if settings.isolation == "none":
        return Handlers(settings).usable()
    isolated = Isolated(settings, slot, functools.partial(TaskProcess, environment=environment))
    isolated.start(Pool.name % 0)
    # Its hooks are the task processes' own affair, and what is defined here is somebody else's.
    return Handlers(settings, lambda name, _setting: Handler(name, Kind.THREAD, isolated), lambda: Registry([], []))


class Isolated:
    """A call that each thread of a pool makes in a task process of its own, which has the thread's name and is started when it
    is first needed."""

    def __init__(self, settings: Settings, slot: int, make: Callable[[Settings, int, str], TaskProcess] = TaskProcess) -> None:
        """`make` makes a task process of these settings for a slot, with a name for the log."""
        self._settings = settings
        self._kill_seconds = ByTopic(settings.of, lambda own: own.handler_kill_seconds or None)
        self._slot = slot
        self._make = make
        self._processes: Dict[str, TaskProcess] = {}  # by the name of their thread, which alone touches its entry

    def start(self, thread: str) -> None:
        """Start the process of this handler thread ahead of its first task, to see whether the handler can be loaded: our own
        process does not import it. Raises HandlerError and TaskProcessError."""
        self._process_of(thread).start()

    def __call__(self, message: Any, partition: Partition, attempt: int) -> Any:
        """Runs one task as `TaskProcess.run` does, with the second time limit of the settings; the first is kept by
        the main thread."""
        place = (message.partition(), message.offset())
        return self._process_of(threading.current_thread().name).run(
            message, partition, attempt, self._kill_seconds[partition.queue.topic], lambda: place in partition.overdue
        )

    def close(self) -> None:
        """End the process of the thread that asks, if there is one. Its next call has another."""
        self._process_of(threading.current_thread().name).close()

    def _process_of(self, thread: str) -> TaskProcess:
        try:
            return self._processes[thread]
        except KeyError:
            made = self._processes[thread] = _PROCESSES[thread] = self._make(self._settings, self._slot, thread)
            return made
