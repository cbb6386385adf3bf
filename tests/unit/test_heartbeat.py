"""What a process says of itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Sequence, cast

import pytest

from kafka_worker.heartbeat import Heartbeat
from kafka_worker.partitions.assignment import Partition
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.shared.ipc.snapshot import Stage
from kafka_worker.shared.ipc.stage import StageHolder
from tests.unit.fakes import Message


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


@pytest.mark.parametrize(
    ("late", "apart", "told"), [((0, 1), (), True), ((0,), (), False), ((0, 1), (1,), False), ((), (), False)]
)
def test_a_process_in_which_nothing_more_begins_since_all_its_calls_are_late_says_so(
    late: Sequence[int], apart: Sequence[int], *, told: bool
) -> None:
    """Where two may run. What runs apart is none of these."""
    partition, pairs = Partition("orders", 3), []
    for offset in range(2):
        task = (offset, partition.tracker.take(offset)[0], Message(offset), None, 1, partition)
        pairs.append((HandlerThread(f"handler-{offset}"), task))
        pairs[-1][0].apart = offset in apart
    partition.overdue.update({(0, offset): None for offset in late})
    loop = SimpleNamespace(turned_at=1.0, running=lambda: pairs)
    heartbeat = cast("Any", Heartbeat)(StageHolder(), loop, SimpleNamespace(capacity=2), None, None, None)

    assert heartbeat._all_late().startswith("nothing more begins: as many calls as may run (2)") is told
