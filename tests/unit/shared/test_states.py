"""All that have states have one shape."""

from __future__ import annotations

from enum import Enum
from typing import Any, List

import pytest

from kafka_worker.gates import breaker
from kafka_worker.shared.ipc import stage
from kafka_worker.shared.states import StateMachine
from kafka_worker.steering import parking
from kafka_worker.supervision import supervisor
from kafka_worker.supervision.children import child


@pytest.mark.parametrize("table", [part.TRANSITIONS for part in (breaker, stage, child, parking, supervisor)])
def test_each_table_knows_all_states_and_the_way_to_each_from_the_first(table: Any) -> None:
    first = next(iter(table))
    reached = {first}
    for _ in table:
        reached |= {to for state in reached for to in table[state]}

    every: Any = type(first)
    assert set(table) == set(every) == reached


def test_a_move_is_told_of_in_words_and_one_that_is_refused_is_not() -> None:
    class Light(str, Enum):
        RED = "red"
        GREEN = "green"

    told: List[str] = []
    light = StateMachine("a light", {Light.RED: frozenset({Light.GREEN}), Light.GREEN: frozenset()}, told.append)

    light.move(Light.GREEN)
    with pytest.raises(ValueError, match="a light can't go from green to red"):
        light.move(Light.RED)

    assert (light.now, told) == (Light.GREEN, ["red -> green"])
