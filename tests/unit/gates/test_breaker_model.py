"""What the circuit breaker makes of messages that are bad themselves, of a dependency that is away, and of both."""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.simulated_handlers import Simulation
from tests.unit.fakes import some_settings

SEEDS = (1, 2)
PACE = 145.0  # calls a second of eight threads
MAX_ATTEMPTS = 3
CALLS_OF_A_HOPELESS_ONE = MAX_ATTEMPTS + 1  # one did not count


def simulation(messages: int, hopeless: float, *outages: Any, seed: int, **more: Any) -> Simulation:
    chosen = some_settings(threads=8, dead_letter_storm_share=more.pop("storm", 0.0))
    return Simulation(chosen, messages, hopeless, outages, seed, **more)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("hopeless", [0.5, 0.6, 0.8])
def test_a_topic_with_many_hopeless_messages_flows_at_the_pace_of_its_dead_letters(hopeless: float, seed: int) -> None:
    run = simulation(400, hopeless, seed=seed)
    calls = 400 * (1 - hopeless) + 400 * hopeless * CALLS_OF_A_HOPELESS_ONE

    run.run(lambda: run.share_of_good_ones_done > 0.95, most=1.5 * calls / PACE + 5.0)

    assert run.innocent == set()
    assert len(run.starts) < 1.2 * calls


@pytest.mark.parametrize("seed", SEEDS)
def test_an_outage_in_the_middle_of_the_work_costs_no_message(seed: int) -> None:
    run = simulation(1000, 0.0, (2.0, 22.0), seed=seed)

    run.run(lambda: run.now > 22.0, most=30.0)
    tried = [offset for offset, when in run.starts if 3.0 < when < 22.0]
    run.run(lambda: run.finished, most=50.0)

    assert run.letters == {}
    assert len(tried) < 10  # three each time
    assert run.most_calls <= 3


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("hopeless", [0.1, 0.6])
def test_an_outage_among_hopeless_messages_makes_dead_letters_of_those_only(hopeless: float, seed: int) -> None:
    run = simulation(600, hopeless, (2.0, 15.0), seed=seed)

    run.run(lambda: run.now > 15.0, most=20.0)
    letters = len(run.letters)
    run.run(lambda: run.share_of_good_ones_done > 0.95, most=120.0)

    assert run.innocent == set()
    assert letters < 0.5 * len(run.hopeless)
    assert len(run.letters) > 0.5 * len(run.hopeless)


@pytest.mark.parametrize(
    "error", [KeyError, ValueError, AttributeError, lambda text: UnicodeDecodeError("utf-8", b"", 0, 1, text)]
)
def test_errors_of_data_are_the_messages_own_from_the_start(error: Callable[[str], BaseException]) -> None:
    run = simulation(300, 0.5, seed=1, error=error)

    run.run(lambda: run.finished, most=20.0)

    assert run.opened_times == 0
    assert set(run.letters) == run.hopeless


@settings(max_examples=15)
@given(
    hopeless=st.floats(0, 1),
    outage=st.tuples(st.floats(0, 5), st.floats(0, 10)),
    storm=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 1000),
)
def test_whatever_fails_no_task_is_lost_and_none_is_a_dead_letter_before_its_last_attempt(
    hopeless: float, outage: Tuple[float, float], storm: float, seed: int
) -> None:
    run = simulation(150, hopeless, (outage[0], sum(outage)), seed=seed, storm=storm)

    run.run(lambda: run.finished or run.now > 8.0, most=10.0)

    counted, found = run.in_flight
    calls = Counter(offset for offset, _ in run.starts)
    assert counted == found == 150 - len(run.done) - len(run.letters)
    assert all(calls[offset] >= MAX_ATTEMPTS for offset in run.letters)
    assert not set(run.done) & run.hopeless


def test_too_many_of_them_are_stopped_by_the_storm_limit_which_says_so() -> None:
    run = simulation(600, 0.6, seed=1, error=KeyError, storm=0.5)

    run.run(lambda: run.now > 20.0, most=30.0)

    assert 50 <= len(run.letters) < 65
    assert [report.name for report in run.gates.reports(run.now) if report.state != "closed"] == ["dead letters"]
