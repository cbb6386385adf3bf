"""How far this child has come: moved by its threads, read by the main thread for the heartbeat."""

from __future__ import annotations

from typing import Dict, FrozenSet

from kafka_worker.shared import logs
from kafka_worker.shared.ipc.snapshot import Stage
from kafka_worker.shared.states import StateMachine

log = logs.logger(__name__)

TRANSITIONS: Dict[Stage, FrozenSet[Stage]] = {
    Stage.STARTING: frozenset({Stage.WAITING, Stage.CLOSED}),
    Stage.WAITING: frozenset({Stage.CONSUMING, Stage.CLOSED}),
    Stage.CONSUMING: frozenset({Stage.DRAINING, Stage.CLOSING, Stage.CLOSED}),
    Stage.DRAINING: frozenset({Stage.CLOSING, Stage.CLOSED}),
    Stage.CLOSING: frozenset({Stage.CLOSED}),
    Stage.CLOSED: frozenset(),
}

NOT_JOINED = (Stage.STARTING, Stage.WAITING)


class StageHolder(StateMachine[Stage]):
    """The current stage. Only forward moves exist, so a late move of another thread is refused, not undone."""

    def __init__(self) -> None:
        """A child begins by starting."""
        super().__init__("a child", TRANSITIONS, log.debug)
