from __future__ import annotations

import pytest

from kafka_worker.shared.ipc.snapshot import Stage
from kafka_worker.shared.ipc.stage import StageHolder


def test_a_child_begins_by_starting_and_moves_on() -> None:
    holder = StageHolder()
    began = holder.now

    holder.move(Stage.WAITING)

    assert (began, holder.now) == (Stage.STARTING, Stage.WAITING)


@pytest.mark.parametrize("to", [Stage.STARTING, Stage.CONSUMING])
def test_a_move_that_the_table_does_not_know_is_refused_and_changes_nothing(to: Stage) -> None:
    holder = StageHolder()

    with pytest.raises(ValueError, match="a child can't go from starting to " + to.value):
        holder.move(to)

    assert holder.now is Stage.STARTING
