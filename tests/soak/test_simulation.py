"""Thousands of schedules of `tests/simulation`. SIMULATION_SEED plays one again, SIMULATION_SECONDS says for how long."""

from __future__ import annotations

import itertools
import os
import random
import time
from typing import Iterator

import pytest

from tests.simulation.mutations import MUTATIONS, put_back
from tests.simulation.schedule import first_problem

SECONDS = float(os.environ.pop("SIMULATION_SECONDS", "120"))
SEED = os.environ.pop("SIMULATION_SEED", "")
MOST = 4000  # schedules until a fault that was put back must be found


@pytest.mark.timeout(SECONDS + 60)
def test_whatever_a_process_meets_nothing_is_lost_and_no_order_is_broken() -> None:
    first = random.randrange(10**9)
    counted = itertools.count()

    def seeds() -> Iterator[int]:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            yield first + next(counted)

    print(f"seeds from {SEED or first} on")
    problem = first_problem([int(SEED)] if SEED else seeds())
    print(f"{next(counted)} schedules")
    assert problem is None, problem


@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", MUTATIONS)
def test_the_simulation_finds_a_fault_that_is_put_back(fault: str) -> None:
    with put_back(fault):
        found = first_problem(range(MOST))

    print(f"{fault}: {found}")
    assert found is not None
