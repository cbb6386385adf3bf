"""How far a child has come, for tests and benches of its parts."""

from __future__ import annotations

from kafka_worker.shared.ipc.snapshot import Stage
from kafka_worker.shared.ipc.stage import StageHolder


def consuming() -> StageHolder:
    """It has its seat, and works."""
    stage = StageHolder()
    stage.move(Stage.WAITING)
    stage.move(Stage.CONSUMING)
    return stage
