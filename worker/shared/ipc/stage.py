"""How far this child has come: moved by its threads, read by the main thread for the heartbeat."""

from __future__ import annotations

import logging

from kafka_worker.shared.ipc.snapshot import STAGES, Stage

log = logging.getLogger(__name__)


class StageHolder:
    """The current stage. Only forward moves exist, so a late move of another thread is refused, not undone."""

    def __init__(self) -> None:
        """A child begins by starting."""
        self.now = Stage.STARTING

    def move(self, to: Stage) -> None:
        """Go to the next stage. Raises ValueError for a move that the table does not know."""
        if to not in STAGES[self.now]:
            raise ValueError("a child can't go from %s to %s" % (self.now.value, to.value))
        log.debug("%s -> %s", self.now.value, to.value)
        self.now = to
