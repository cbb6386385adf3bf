"""The consumer thread and the handler threads of one child, in the test's own process: no process to start, and a test may
look at everything. What it can't show (signals, exit codes, restarts) the real command shows, tests/support/service.py.
"""

from __future__ import annotations

import threading
from typing import Optional, Set

from kafka_worker import build
from kafka_worker.draining.stopping import Stop
from kafka_worker.handler.routing import Handlers
from kafka_worker.kafka.properties import Member
from kafka_worker.kafka.tokens import of_settings
from kafka_worker.loop import ConsumerLoop
from kafka_worker.outcomes.retry import policies
from kafka_worker.pools import composite
from kafka_worker.recovery.quarantine import Quarantine
from kafka_worker.recovery.suspects_file import SuspectsFile
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system.deadline import Deadline
from tests.support.ending import made_to_end
from tests.support.eventually import eventually
from tests.support.ledger import Ledger
from tests.support.stages import consuming

READY_SECONDS = 30.0
STOP_SECONDS = 20.0


class Engine:
    """One member of a group. Start it, and stop it before the test ends: the fixture `engine` does."""

    def __init__(self, settings: Settings, name: str, ledger: Ledger) -> None:
        """`name` is the client's, and should be unique in the group."""
        self.ledger = ledger
        self.pool = composite.build(settings, Handlers(settings).usable())
        self._end_pool = made_to_end(self.pool)
        quarantine = Quarantine(settings, 0, self.pool, SuspectsFile(None))
        parts = build.parts(
            settings, self.pool, quarantine, policies(settings, _longest), Member(name, 0), tokens=of_settings(settings)
        )
        self.loop = ConsumerLoop(settings, parts, consuming())
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self.code: Optional[ExitCode] = None  # once it has ended
        self._stopped = False

    def start(self, *, wait: bool = True) -> Engine:
        """Returns as soon as the group has given it an assignment, if that is to be waited for."""
        self.pool.start()
        self._thread.start()
        if wait:
            eventually(lambda: self.loop.report.joined, READY_SECONDS, "the engine joins its group")
        return self

    def stop(self, drain_seconds: float = 5.0) -> Optional[ExitCode]:
        """Drain, leave the group and end all threads; how it ended. None: it did not."""
        if self._thread.is_alive():
            self.loop.stop(Stop(Deadline(drain_seconds), leave=True))
            self._thread.join(STOP_SECONDS)
        if self._thread.ident is not None and not self._stopped:  # it may have ended by itself
            self._stopped = True
            self._end_pool()
        return self.code

    def paused(self) -> Set[int]:
        """The partitions that are."""
        return {each.partition for each in self.loop.report.partitions if each.paused}

    def held(self) -> Set[int]:
        """The partitions that wait for something beside their handlers."""
        return {each.partition for each in self.loop.report.partitions if each.held}

    def _run(self) -> None:
        self.code = self.loop.consume_messages()


def _longest() -> float:
    """In the place of chance: the longest waits that the product could choose, so that tests know how long one waits."""
    return 1.0
