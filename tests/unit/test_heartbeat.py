"""What a process says of itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from kafka_worker.heartbeat import Heartbeat
from kafka_worker.shared.ipc.snapshot import Stage
from kafka_worker.shared.ipc.stage import StageHolder


def test_who_has_waited_long_for_the_seat_has_not_neglected_the_group() -> None:
    now, stage, loop = [0.0], StageHolder(), SimpleNamespace(turned_at=1.0)
    heartbeat = cast("Any", Heartbeat)(stage, loop, None, None, None, None)
    heartbeat._awake = SimpleNamespace(tick=lambda _clock: now[0])
    stage.move(Stage.WAITING)
    for now[0] in (1.0, 50.0, 100.0):
        heartbeat.poll_age()
    stage.move(Stage.CONSUMING)
    now[0] = 100.5

    taken_over = heartbeat.poll_age()
    now[0] = 130.0

    assert taken_over == 0.5
    assert heartbeat.poll_age() == 30.0
