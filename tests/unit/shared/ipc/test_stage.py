from __future__ import annotations

import pytest

from kafka_worker.shared.ipc.snapshot import Stage
from kafka_worker.shared.ipc.stage import TRANSITIONS, StageHolder

ORDER = list(Stage)


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


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_only_leads_to_later_ones(stage: Stage) -> None:
    assert all(ORDER.index(to) > ORDER.index(stage) for to in TRANSITIONS[stage])


@pytest.mark.parametrize("stage", [stage for stage in ORDER if stage is not Stage.CLOSED])
def test_every_stage_has_a_way_to_the_end(stage: Stage) -> None:
    assert Stage.CLOSED in TRANSITIONS[stage]


def test_a_closed_child_goes_nowhere() -> None:
    assert TRANSITIONS[Stage.CLOSED] == frozenset()
