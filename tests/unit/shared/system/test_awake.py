from __future__ import annotations

from kafka_worker.shared.system.awake import AwakeClock


def test_the_awake_clock_follows_the_clock_while_we_are_awake() -> None:
    clock = AwakeClock(100.0)

    assert [clock.tick(now) for now in (100.5, 101.0, 101.75)] == [0.5, 1.0, 1.75]


def test_a_long_absence_counts_as_no_more_than_one_sleep() -> None:
    clock = AwakeClock(100.0, longest=1.0)
    clock.tick(100.5)

    assert clock.tick(4000.0) == 1.5


def test_a_clock_that_goes_back_takes_nothing_away() -> None:
    clock = AwakeClock(100.0)
    clock.tick(100.5)

    assert [clock.tick(50.0), clock.tick(50.25)] == [0.5, 0.75]
