from __future__ import annotations

import logging
import math
from typing import List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_worker.gates.breaker import MOST_PROBES, TRANSITIONS, Breaker, State
from kafka_worker.gates.windows import TimeWindow

WAIT, PROBES, MIN_CALLS = 10.0, 3, 4
ERROR = ConnectionError("refused")
LAST = "the last: ConnectionError: refused"


def breaker(*, trickle: bool = False) -> Breaker:
    return Breaker("payments", TimeWindow(30.0, MIN_CALLS), 0.5, WAIT, PROBES, MIN_CALLS, trickle=trickle)


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


def test_so_many_probes_must_succeed_for_it_to_close_and_then_it_counts_anew() -> None:
    made = half_open()

    made.succeeded(PROBES - 1, WAIT, probe=True)
    states = [made.state]
    made.succeeded(1, WAIT, probe=True)
    assert [*states, made.state] == [State.HALF_OPEN, State.CLOSED]
    assert not made.failed(ERROR, WAIT, probe=False)


def test_each_probe_that_succeeds_lets_twice_as_many_run_up_to_a_bound() -> None:
    made, wanted = half_open(), []
    for _ in range(9):
        assert made.failed(ERROR, WAIT, probe=True)  # else it would close
        assert made.failed(ERROR, WAIT, probe=True)
        made.succeeded(1, WAIT, probe=True)
        wanted.append(made.wanted)

    assert wanted == [6, 12, 24, 48, 96, 192, MOST_PROBES, MOST_PROBES, MOST_PROBES]


def test_when_all_probes_fail_it_opens_again_and_their_messages_are_spared() -> None:
    made = half_open()

    assert [made.failed(ERROR, WAIT, probe=True) for _ in range(PROBES)] == [True] * PROBES
    assert (made.state, made.opened_times) == (State.OPEN, 2)
    made.turn(2 * WAIT)
    assert (made.state, made.wanted) == (State.HALF_OPEN, PROBES)


def test_while_some_succeed_and_most_fail_it_stays_half_open_and_when_fewer_fail_it_closes() -> None:
    made = half_open()
    for _ in range(PROBES):
        made.failed(ERROR, WAIT, probe=True)
        made.failed(ERROR, WAIT, probe=True)
        made.succeeded(1, WAIT, probe=True)
    states = [made.state]
    made.succeeded(PROBES + 1, WAIT, probe=True)

    assert [*states, made.state] == [State.HALF_OPEN, State.CLOSED]


def test_a_probe_that_fails_again_after_another_succeeded_is_itself_to_blame_and_decides_nothing() -> None:
    made = half_open()
    first = made.failed(ERROR, WAIT, probe=True)
    made.succeeded(1, WAIT + 1, probe=True)

    again = made.failed(ERROR, WAIT + 2, probe=True, before=WAIT)
    without_a_success_between = made.failed(ERROR, WAIT + 3, probe=True, before=WAIT + 2)

    assert (first, again, without_a_success_between) == (True, False, True)
    assert made.state is State.HALF_OPEN


def test_when_many_fail_one_after_the_other_nobody_is_to_blame_although_others_succeeded_before() -> None:
    made = half_open()
    made.succeeded(2, WAIT + 1, probe=True)

    spared = [made.failed(ERROR, WAIT + 2, probe=True, before=WAIT) for _ in range(4 * PROBES)]

    assert spared == [False] * 2 * PROBES + [True] * 2 * PROBES
    assert made.state is State.OPEN


def test_while_closed_a_message_that_fails_again_although_others_succeed_opens_nothing() -> None:
    made = breaker()
    for moment in range(1, 50):
        made.succeeded(1, moment, probe=False)
        assert made.failed(ERROR, moment + 0.5, probe=False, before=moment - 0.5) is False

    assert (made.state, made.report(50.0).failed_share) == (State.CLOSED, 0.0)


def test_when_nothing_succeeds_any_more_it_opens_however_much_did_of_late_and_tries_at_once_whether_that_is_so() -> None:
    made = breaker()
    made.succeeded(1000, 0.0, probe=False)

    assert [made.failed(ERROR, 0.1, probe=False) for _ in range(MIN_CALLS)] == [False] * (MIN_CALLS - 1) + [True]
    made.turn(0.1)
    assert (made.state, made.wanted) == (State.HALF_OPEN, MIN_CALLS)
    assert all(made.failed(ERROR, 0.2, probe=True) for _ in range(MIN_CALLS))
    made.turn(WAIT)
    assert made.state is State.OPEN


def test_messages_that_fail_again_do_not_open_it_for_want_of_others() -> None:
    """The last ones of a topic, some of which are hopeless."""
    made = breaker()
    made.succeeded(1000, 0.0, probe=False)

    assert not any(made.failed(ERROR, 0.2, probe=False, before=0.1) for _ in range(3 * MIN_CALLS))


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
KINDS = ["good", "bad", "good probe", "bad probe", "bad again", "bad probe again", "turn"]
EVENTS = st.lists(st.tuples(st.sampled_from(KINDS), st.floats(0, 2 * WAIT)))


@given(EVENTS)
def test_whatever_happens_it_moves_as_the_table_says_and_spares_failures_unless_closed(events: List[Event]) -> None:
    made, now, failed_at, well_at = breaker(), 0.0, math.inf, -math.inf
    for name, elapsed in events:
        before, now = made.state, now + elapsed
        if name == "turn":
            made.turn(now)
        elif name.startswith("good"):
            made.succeeded(1, now, probe="probe" in name)
            well_at = now if before is State.CLOSED or (before is State.HALF_OPEN and "probe" in name) else well_at
        else:
            spared = made.failed(ERROR, now, probe="probe" in name, before=failed_at if "again" in name else math.inf)
            may_be_blamed = "again" in name and failed_at < well_at
            assert spared == (made.state is not State.CLOSED) or may_be_blamed
            failed_at = now
        assert made.state is before or made.state in TRANSITIONS[before]
        assert 0 <= made.wanted <= MOST_PROBES
        assert (made.wanted > 0) == (made.state is State.HALF_OPEN)


def test_each_move_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    made = half_open()
    for _ in range(PROBES):
        made.failed(ERROR, WAIT, probe=True)
    made.turn(2 * WAIT)
    made.succeeded(PROBES, 2 * WAIT, probe=True)

    assert {vars(record)["breaker"] for record in caplog.records} == {caplog.messages[0].split()[3]}
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "Circuit breaker of payments opened: 4 of 4 calls failed (share 1.00); next try in 10.0 s; " + LAST),
        ("INFO", "Circuit breaker of payments is half-open, to try whether it works again: 3 calls at first"),
        ("WARNING", "Circuit breaker of payments is open again: calls that tried it failed (ConnectionError: refused)"),
        ("INFO", "Circuit breaker of payments is half-open, to try whether it works again: 3 calls at first"),
        ("INFO", "Circuit breaker of payments is closed: calls succeed again"),
    ]  # fmt: skip


def test_it_reports_what_opened_it_and_when_it_is_tried_again() -> None:
    made = opened()

    report = made.report(4.0)

    assert (report.state, report.failed_share, report.calls) == ("open", 1.0, MIN_CALLS)
    assert (report.opened_times, report.seconds_in_state, report.probe_in) == (1, 4.0, 6.0)
    assert made.report(5.0).calls == MIN_CALLS
    assert breaker().report(4.0).failed_share == 0.0
    assert (report.last_error, breaker().report(4.0).last_error) == ("ConnectionError", "")
    made.turn(WAIT)
    made.failed(ERROR, WAIT + 1, probe=True)
    later = [made.report(WAIT + seconds) for seconds in (0.5, 9.0)]
    assert [each.seconds_unwell for each in later] == [WAIT + 0.5, WAIT + 9.0], "an outage began when it was last closed"
    assert breaker().report(4.0).seconds_unwell == 0.0
