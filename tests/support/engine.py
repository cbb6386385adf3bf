"""The consumer thread and the handler threads of one child, in the test's own process: no process to start, and a test may
look at everything. What it can't show (signals, exit codes, restarts) the real command shows, tests/support/service.py.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Callable, NoReturn, Optional

from service.deadline import Deadline
from service.exit_codes import ExitCode
from service.settings import Settings
from service.snapshot import Stage
from tests.support.eventually import eventually
from tests.support.ledger import Ledger
from worker import handler
from worker.client_config import consumer_properties, producer_properties
from worker.loop import ConsumerLoop, Stop
from worker.pool import HandlerThread, Pool
from worker.queues import Queue
from worker.retry import RetryPolicy
from worker.stages import StageHolder

READY_SECONDS = 30.0
STOP_SECONDS = 20.0


class Engine:
    """One member of a group. Start it, and stop it before the test ends: the fixture `engine` does."""

    def __init__(self, settings: Settings, name: str, ledger: Ledger) -> None:
        """`name` is the client's, and should be unique in the group."""
        self.ledger = ledger
        self._pool = _EndingPool(settings.threads, handler.load(settings.handler, settings))
        self.loop = ConsumerLoop(
            settings, self._pool, _policy(settings), consumer_properties(settings, name),
            producer_properties(settings, name), _consuming(),
        )  # fmt: skip
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self.code: Optional[ExitCode] = None  # once it has ended

    def start(self) -> Engine:
        """Returns as soon as the group has given it an assignment."""
        self._pool.start()
        self._thread.start()
        eventually(lambda: self.loop.joined, READY_SECONDS, "the engine joins its group")
        return self

    def stop(self, drain_seconds: float = 5.0) -> Optional[ExitCode]:
        """Drain, leave the group and end all threads; how it ended. None: it did not."""
        if self._thread.is_alive():
            self.loop.stop(Stop(Deadline(drain_seconds), leave=True))
            self._thread.join(STOP_SECONDS)
            self._pool.end()
        return self.code

    def _run(self) -> None:
        self.code = self.loop.consume_messages()


class _EndError(Exception):
    """Ends a handler thread."""


class _EndingPool(Pool):
    """Its threads end; the product leaves that to the end of the process."""

    def end(self) -> None:
        """All threads that run no task now."""
        self.serve([_End()])
        self.wake(len(self.threads))

    def _serve(self, thread: HandlerThread, turn: int) -> None:
        with contextlib.suppress(_EndError):
            super()._serve(thread, turn)


class _End(Queue):
    """Whoever wants a task of it ends."""

    def __init__(self) -> None:
        self._tasks = ()
        self.pop: Callable[[], Any] = self._end

    def _end(self) -> NoReturn:
        raise _EndError


def _policy(settings: Settings) -> RetryPolicy:
    """With the longest waits that the product could choose, so that tests know how long one waits at least."""
    return RetryPolicy(settings.max_attempts, settings.retry_backoff_seconds, settings.retry_backoff_max_seconds, lambda: 1.0)


def _consuming() -> StageHolder:
    stage = StageHolder()
    stage.move(Stage.WAITING)
    stage.move(Stage.CONSUMING)
    return stage
