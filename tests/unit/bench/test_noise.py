from __future__ import annotations

from typing import List

import pytest

from bench.noise import Measured, Moment, gated, machine_seconds


def test_interrupts_and_waiting_are_nobodys_programs() -> None:
    stat = "cpu  100 20 30 9999 999 77 88 5 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"

    assert machine_seconds(stat, ticks=100) == pytest.approx(1.55)


@pytest.mark.parametrize(("machine", "ours", "others"), [(14.0, 3.0, 0.5), (11.0, 3.0, 0.0)])
def test_others_are_whatever_is_not_ours(machine: float, ours: float, others: float) -> None:
    # The ticks of the two are counted at different moments: never less than nothing.
    assert Moment(100.0, 10.0, 1.0).others(Moment(104.0, machine, ours)) == pytest.approx(others)


@pytest.mark.parametrize(
    ("loads", "tries", "kept", "quiet"),
    [([0.1, 0.0], 1, 0.1, True), ([0.9, 0.1], 2, 0.1, True), ([0.9, 0.5, 0.7, 0.0], 3, 0.5, False)],
)
def test_a_noisy_measurement_is_made_again_and_the_quietest_kept(
    loads: List[float], tries: int, kept: float, quiet: bool
) -> None:
    waiting = iter(loads)

    best = gated(lambda: Measured({}, next(waiting)), limit=0.2, most=3)

    assert (best.tries, best.measured.others, best.quiet) == (tries, kept, quiet)
