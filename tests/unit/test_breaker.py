from __future__ import annotations

import logging
from typing import List, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.breaker import MOVES, Breaker, State
from worker.windows import TimeWindow

WAIT, PROBES, MIN_CALLS = 10.0, 3, 4
ERROR = ConnectionError("refused")
LAST = "the last: ConnectionError: refused"


def breaker(*, trickle: bool = False) -> Breaker:
    return Breaker("payments", TimeWindow(30.0, MIN_CALLS), 0.5, WAIT, PROBES, trickle=trickle)


def opened(*, trickle: bool = False) -> Breaker:
    """At 0 seconds."""
    made = breaker(trickle=trickle)
    for _ in range(MIN_CALLS):
        made.failed(ERROR, 0.0, probe=False)
    assert made.state is State.OPEN
    return made


def half_open(*, trickle: bool = False) -> Breaker:
    """At the end of the wait."""
    made = opened(trickle=trickle)
    made.turn(WAIT)
    assert made.state is State.HALF_OPEN
    return made


def test_it_opens_at_the_share_of_enough_calls_and_not_before() -> None:
    made = breaker()
    made.succeeded(2, 0.0, probe=False)

    assert [made.failed(ERROR, 0.0, probe=False) for _ in range(2)] == [False, True]
    assert (made.state, made.opened_times) == (State.OPEN, 1)


def test_calls_of_long_ago_do_not_count() -> None:
    made = breaker()
    for _ in range(MIN_CALLS - 1):
        made.failed(ERROR, 0.0, probe=False)

    assert made.failed(ERROR, 100.0, probe=False) is False
    assert made.state is State.CLOSED


def test_open_it_waits_and_then_wants_so_many_probes() -> None:
    made = opened()

    made.turn(WAIT - 0.1)
    assert (made.state, made.wanted) == (State.OPEN, 0)
    made.turn(WAIT)
    assert (made.state, made.wanted) == (State.HALF_OPEN, PROBES)


def test_all_probes_must_succeed_for_it_to_close_and_then_it_counts_anew() -> None:
    made = half_open()

    made.succeeded(PROBES - 1, WAIT, probe=True)
    assert (made.state, made.wanted) == (State.HALF_OPEN, 1)
    made.succeeded(1, WAIT, probe=True)
    assert made.state is State.CLOSED
    assert not made.failed(ERROR, WAIT, probe=False)


def test_the_first_probe_that_fails_opens_it_again_and_its_message_is_spared() -> None:
    made = half_open()

    assert made.failed(ERROR, WAIT, probe=True) is True
    assert (made.state, made.opened_times) == (State.OPEN, 2)
    made.turn(2 * WAIT)
    assert (made.state, made.wanted) == (State.HALF_OPEN, PROBES)


def test_a_probe_that_fails_where_another_succeeded_is_itself_to_blame() -> None:
    made = half_open()
    made.succeeded(1, WAIT, probe=True)

    assert made.failed(ERROR, WAIT, probe=True) is False
    assert made.state is State.OPEN


def test_of_dead_letters_one_a_round_goes_through() -> None:
    made = half_open(trickle=True)

    assert [made.failed(ERROR, WAIT, probe=True) for _ in range(3)] == [False, True, True]


def test_what_was_running_when_it_opened_is_spared_and_decides_nothing() -> None:
    made = opened()
    assert made.failed(ERROR, 1.0, probe=False)
    made.succeeded(100, 1.0, probe=False)
    made.turn(WAIT)

    assert made.failed(ERROR, WAIT, probe=False)
    made.succeeded(100, WAIT, probe=False)
    assert (made.state, made.wanted) == (State.HALF_OPEN, PROBES)


Event = Tuple[str, float]
EVENTS = st.lists(st.tuples(st.sampled_from(["good", "bad", "good probe", "bad probe", "turn"]), st.floats(0, 2 * WAIT)))


@settings(max_examples=40, deadline=None)
@given(EVENTS)
def test_whatever_happens_it_moves_as_the_table_says_and_spares_failures_unless_closed(events: List[Event]) -> None:
    made, now = breaker(), 0.0
    for name, elapsed in events:
        before, succeeded, now = made.state, PROBES - made.wanted, now + elapsed
        if name == "turn":
            made.turn(now)
        elif name.startswith("good"):
            made.succeeded(1, now, probe="probe" in name)
        else:
            spared = made.failed(ERROR, now, probe="probe" in name)
            blamed = before is State.HALF_OPEN and "probe" in name and succeeded > 0
            assert spared == (made.state is not State.CLOSED and not blamed)
        assert made.state is before or made.state in MOVES[before]
        assert 0 <= made.wanted <= PROBES
        assert (made.wanted > 0) == (made.state is State.HALF_OPEN)


def test_each_move_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    made = half_open()
    made.failed(ERROR, WAIT, probe=True)
    made.turn(2 * WAIT)
    made.succeeded(PROBES, 2 * WAIT, probe=True)

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "Circuit breaker of payments opened: 4 of 4 calls failed (share 1.00); next try in 10.0 s; " + LAST),
        ("INFO", "Circuit breaker of payments is half-open: 3 calls try whether it works again"),
        ("WARNING", "Circuit breaker of payments is open again: a call that tried it failed (ConnectionError: refused)"),
        ("INFO", "Circuit breaker of payments is half-open: 3 calls try whether it works again"),
        ("INFO", "Circuit breaker of payments is closed: calls succeed again"),
    ]  # fmt: skip


def test_it_reports_what_opened_it_and_when_it_is_tried_again() -> None:
    made = opened()

    report = made.report(4.0)

    assert (report.state, report.failed_share, report.calls) == ("open", 1.0, MIN_CALLS)
    assert (report.opened_times, report.seconds_in_state, report.probe_in) == (1, 4.0, 6.0)
    assert made.report(5.0).calls == MIN_CALLS
    assert breaker().report(4.0).failed_share == 0.0
