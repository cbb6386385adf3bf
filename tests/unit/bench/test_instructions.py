from __future__ import annotations

import gc
from typing import Iterator

import pytest

from bench.instructions import ORDERINGS, VERSION, counted, recorded
from bench.path import BATCH, instructions

TOLERANCE = 0.05


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_a_message_takes_no_more_instructions_than_recorded(ordering: str) -> None:
    # Fewer are news, too: record them, so that they do not creep back. `python -m bench.instructions --record`
    expected = recorded()[VERSION][ordering]

    assert counted(ordering) == pytest.approx(expected, rel=TOLERANCE)


def test_a_turn_costs_the_same_however_many_partitions_there_are_of_which_nothing_comes() -> None:
    few, many = (instructions("key", BATCH, partitions) for partitions in (2, 100))

    assert many == pytest.approx(few, rel=0.01)


@pytest.fixture
def _collects_all_the_time() -> Iterator[None]:
    """And that has Python run something, as finalizers do."""
    before = gc.get_threshold()

    def runs(*_: object) -> None:
        for _each in range(100):
            pass

    gc.callbacks.append(runs)
    gc.set_threshold(1)
    yield
    gc.set_threshold(*before)
    gc.callbacks.remove(runs)


@pytest.mark.usefixtures("_collects_all_the_time")
def test_what_runs_when_garbage_of_others_is_collected_is_no_message_s() -> None:
    assert counted("key") == pytest.approx(recorded()[VERSION]["key"], rel=TOLERANCE)
