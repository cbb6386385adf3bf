"""A few schedules of `tests/simulation`; thousands in `make soak`."""

from __future__ import annotations

import re

import pytest

from tests.simulation.mutations import put_back
from tests.simulation.schedule import first_problem


def test_whatever_a_process_meets_nothing_is_lost_and_no_order_is_broken() -> None:
    assert first_problem(range(21, 26)) is None


@pytest.mark.parametrize(
    ("fault", "seed"),  # of which it is found; by another, when one draw more or less is made
    [
        ("nothing committed proves what was noted", 3),
        ("a record with a task that still runs stays valid", 2),
        ("the position is committed while something is in hand", 0),
        ("what is given back leaves the end reached", 7),
    ],
)
def test_the_simulation_finds_a_fault_that_is_put_back(fault: str, seed: int, pytestconfig: pytest.Config) -> None:
    """First where it was found last: to find it anew may take seconds."""
    found, cache = f"simulation/{fault}", getattr(pytestconfig, "cache", None)
    first = cache.get(found, seed) if cache else seed

    with put_back(fault):
        problem = first_problem(range(first, first + 500))

    assert problem is not None
    if cache:
        cache.set(found, int(re.findall(r"SIMULATION_SEED=(\d+)", problem)[0]))
