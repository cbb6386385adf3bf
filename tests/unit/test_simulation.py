"""A few schedules of `tests/simulation`; thousands in `make soak`."""

from __future__ import annotations

import pytest

from tests.simulation.mutations import put_back
from tests.simulation.schedule import first_problem

SOON = 19  # each of the faults is found by this one; by another soon behind it, when one draw more or less is made


def test_whatever_a_process_meets_nothing_is_lost_and_no_order_is_broken() -> None:
    assert first_problem(range(5)) is None


@pytest.mark.parametrize(
    "fault",
    [
        "nothing committed proves what was noted",
        "a record with a task that still runs stays valid",
        "the position is committed while something is in hand",
    ],
)
def test_the_simulation_finds_a_fault_that_is_put_back(fault: str) -> None:
    with put_back(fault):
        assert first_problem(range(SOON, SOON + 100)) is not None
