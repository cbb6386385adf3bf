from __future__ import annotations

import pytest

from bench.figures import exponent, longest_silence, medians, percentile, shares


def test_medians_are_of_the_rounds_that_have_the_number() -> None:
    assert medians([{"rate": 1.0}, {"rate": 9.0, "cpu": 4.0}, {"rate": 2.0}]) == {"rate": 2.0, "cpu": 4.0}


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_one_of_the_values(share: float, expected: int) -> None:
    assert percentile(range(100, 0, -1), share) == expected


@pytest.mark.parametrize("growth", [0.0, 0.5, 1.0, -0.3])
def test_the_exponent_of_a_power_is_found(growth: float) -> None:
    assert exponent((x, 7.0 * x**growth) for x in (1, 8, 64, 1000)) == pytest.approx(growth)


def test_a_silence_may_be_at_either_end_and_what_is_outside_does_not_count() -> None:
    assert longest_silence([1, 11, 12, 30], begin=10, end=20) == 8
    assert longest_silence([], begin=10, end=20) == 10


def test_ratios_are_of_the_same_round() -> None:
    assert shares([{"rate": 5.0}, {}, {"rate": 8.0}], [{"rate": 10.0}, {"rate": 1.0}, {"rate": 4.0}], "rate") == [0.5, 2.0]
