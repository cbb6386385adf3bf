"""Processes that a child leaves behind, and that work for nobody any more (see `orphans`): asked to end, then made to."""

from __future__ import annotations

import signal
from typing import Dict

from kafka_worker.shared import logs
from kafka_worker.shared.system import orphans

log = logs.logger(__name__)

LOOK_SECONDS = 0.1
_ASK = 0  # of kill(2): whether it is there
PATIENCE_SECONDS = 1.0  # from SIGTERM to SIGKILL


class Leftovers:
    """Those of all children that have ended, until they are gone. Times are the supervisor's awake seconds."""

    def __init__(self) -> None:
        """None yet."""
        self._killed_at: Dict[int, float] = {}  # when what is left in a session is killed
        self._next_look = 0.0

    def end(self, child: int, awake: float) -> None:
        """A child has just ended."""
        found = orphans.end_left_behind(child)
        if found:
            log.info("Process %d has left others behind, which end now: %s", child, ", ".join(map(str, found)))
            self._killed_at[child] = awake + PATIENCE_SECONDS

    def gone(self, awake: float) -> bool:
        """To be called in each turn: whether none is left."""
        if self._killed_at and awake >= self._next_look:
            self._next_look = awake + LOOK_SECONDS
            for session, killed_at in list(self._killed_at.items()):
                if not orphans.end_left_behind(session, _ASK if awake < killed_at else signal.SIGKILL):
                    del self._killed_at[session]
        return not self._killed_at
