"""Where handlers run: in our own threads, or, with ISOLATION=process, each thread's in a task process of its own."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any, Callable, List

from service.settings import Settings
from worker.assignment import Partition
from worker.handler import Handler, Kind
from worker.handlers import Handlers
from worker.task_process import TaskProcess


def handlers_of(settings: Settings, slot: int) -> Handlers:
    """The handlers, ready to be called in the way of ISOLATION. Raises HandlerError."""
    if settings.isolation == "none":
        return Handlers(settings).usable()
    isolated = Isolated(settings, slot)
    isolated.start()
    return Handlers(settings, lambda name, _setting: Handler(name, Kind.THREAD, isolated))


class Isolated:
    """A call that each thread makes in a task process of its own, which is started when it is first needed."""

    def __init__(self, settings: Settings, slot: int, make: Callable[[Settings, int, str], TaskProcess] = TaskProcess) -> None:
        """`make` makes a task process of these settings for a slot, with a name for the log."""
        self._settings = settings
        self._slot = slot
        self._make = make
        self._own = threading.local()
        self._numbers = itertools.count(1)
        self._spare: List[TaskProcess] = []  # started, and not any thread's yet

    def start(self) -> None:
        """Start the first process, to see whether the handler can be loaded: our own process never imports it (see DESIGN.md).
        Raises HandlerError and TaskProcessError."""
        first = self._another()
        first.start()
        self._spare.append(first)

    def __call__(self, message: Any, partition: Partition, attempt: int) -> Any:
        """As `TaskProcess.run`, with the time limits of the settings."""
        limit = self._settings.handler_timeout_seconds
        until = time.monotonic() + limit
        return self._process().run(
            message,
            partition,
            attempt,
            self._settings.handler_kill_seconds or None,
            lambda: limit > 0 and time.monotonic() >= until,
        )

    def _process(self) -> TaskProcess:
        try:
            return self._own.process  # type: ignore[no-any-return]
        except AttributeError:
            self._own.process = process = self._taken()
            return process

    def _taken(self) -> TaskProcess:
        try:
            return self._spare.pop()
        except IndexError:
            return self._another()

    def _another(self) -> TaskProcess:
        return self._make(self._settings, self._slot, "task-%d" % next(self._numbers))
