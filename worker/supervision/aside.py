"""What may never come back, done beside the supervisor's loop: a disk may be another machine's, and so may the list of users.
Whoever waited for them would look after no process meanwhile, and hear no signal.

(The program's own files are read in the loop all the same: without these no process starts, whoever waits for it.)
"""

from __future__ import annotations

import signal
import threading
import time
from typing import Callable, List, TypeVar

from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.system.awake import AwakeClock

log = logs.logger(__name__)

T = TypeVar("T")

START_SECONDS = 10.0  # for what is wanted before anything can start
PATIENCE_SECONDS = 2.0  # then it is told that something does not answer


def within(seconds: float, what: str, job: Callable[[], T]) -> T:
    """What the job gives, where nothing can be done without it. Raises what it raises, and TimeoutError if it takes longer."""
    given: List[T] = []
    raised: List[Exception] = []

    def run() -> None:
        try:
            given.append(job())
        except Exception as problem:  # who waits has it
            raised.append(problem)

    aside = Aside(what)
    aside.do(run)
    if not aside.wait(seconds):
        raise TimeoutError(f"{what} does not answer")
    if not (given or raised):
        raise TimeoutError(f"{what} can't be looked at: no thread can be had")
    for problem in raised:
        raise problem
    return given[0]


class Aside:
    """Does one thing at a time, each in a thread of its own, which nobody waits for at the end either."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        """It has nothing to do yet."""
        self._name = name
        self._clock = clock
        self._free = threading.Event()
        self._free.set()
        self._awake = AwakeClock(clock())  # who was stopped himself, as with the whole container, has waited for nobody
        self._since = 0.0  # awake seconds, when it was given what it is at

    def do(self, job: Callable[[], object]) -> None:
        """Begin it. To be called when it is not busy; and again, where the machine may have had no room for a thread."""
        self._since = self._awake.tick(self._clock())
        self._free.clear()
        try:
            threading.Thread(target=self._run, args=(job,), name=self._name, daemon=True).start()
        except RuntimeError:
            self._free.set()

    def wait(self, seconds: float) -> bool:
        """Wait for the end of what it is at, but not for long; whether it has come."""
        return self._free.wait(seconds)

    @property
    def busy(self) -> bool:
        """Whether it is still at what it was given. To be asked again and again: so it knows that we were awake."""
        self._awake.tick(self._clock())
        return not self._free.is_set()

    @property
    def stuck(self) -> bool:
        """Whether it has been for so long that somebody should know."""
        return self.busy and self._awake.seconds - self._since >= PATIENCE_SECONDS

    def _run(self, job: Callable[[], object]) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGABRT])  # which asks the main thread for its stack
        try:
            job()
        except Exception:  # what it may raise is its own affair: this is a fault
            log.exception("Something beside the supervisor's loop has failed", extra=about(Event.FAULT))
        self._free.set()
