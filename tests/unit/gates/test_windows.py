"""Against lists that remember every call."""

from __future__ import annotations

from typing import List, Tuple

from hypothesis import given
from hypothesis import strategies as st

from kafka_worker.gates.windows import PIECES, CountWindow, TimeWindow

SECONDS = 20.0
counts = st.integers(0, 5)


@given(st.integers(1, 20), st.lists(st.tuples(counts, counts)))
def test_a_window_of_calls_holds_exactly_the_last_so_many(size: int, added: List[Tuple[int, int]]) -> None:
    window, calls = CountWindow(size), []

    for good, bad in added:
        window.add(good, bad, 0.0)
        calls += [0] * good + [1] * bad

    last = calls[-size:]
    assert window.counts(0.0) == (len(last), sum(last))
    assert window.reached(0.5, 0.0) == (sum(last) >= 0.5 * size)


@given(st.lists(st.tuples(st.floats(0, SECONDS), counts, counts)))
def test_a_window_of_time_forgets_nothing_too_early_and_nothing_more_than_a_piece_too_late(
    added: List[Tuple[float, int, int]],
) -> None:
    window, now, calls = TimeWindow(SECONDS, 1), 0.0, []

    for elapsed, good, bad in added:
        now += elapsed
        window.add(good, bad, now)
        calls += [(now, 0)] * good + [(now, 1)] * bad

    seen, failed = window.counts(now)
    surely = [bad for at, bad in calls if now - at <= SECONDS]
    perhaps = [bad for at, bad in calls if now - at <= SECONDS * (1 + 1 / PIECES)]
    assert len(surely) <= seen <= len(perhaps)
    assert sum(surely) <= failed <= sum(perhaps)


def test_few_calls_say_nothing_in_a_window_of_time() -> None:
    window = TimeWindow(SECONDS, min_calls=4)

    window.add(1, 2, 0.0)
    assert not window.reached(0.5, 0.0)
    window.add(1, 0, 0.0)
    assert window.reached(0.5, 0.0)
    assert not window.reached(0.51, 0.0)


def test_a_window_that_was_cleared_holds_nothing() -> None:
    for window in (TimeWindow(SECONDS, 1), CountWindow(10)):
        window.add(3, 3, 0.0)
        window.clear()
        assert window.counts(0.0) == (0, 0)
