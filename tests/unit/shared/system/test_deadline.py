from __future__ import annotations

from kafka_worker.shared.system.deadline import Deadline


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_remains_shrinks_and_is_never_negative() -> None:
    clock = Clock()
    deadline = Deadline(30, clock)
    seen = []
    for clock.now in (100.0, 110.0, 130.0, 500.0):
        seen.append((deadline.remaining(), deadline.expired()))

    assert seen == [(30.0, False), (20.0, False), (0.0, True), (0.0, True)]


def test_a_deadline_of_zero_is_over_at_once() -> None:
    assert Deadline(0, Clock()).expired()


def test_hurry_brings_it_forward_and_never_back() -> None:
    clock = Clock()
    deadline = Deadline(30, clock)

    deadline.hurry(60)
    unchanged = deadline.remaining()
    deadline.hurry(5)

    assert (unchanged, deadline.remaining()) == (30.0, 5.0)
