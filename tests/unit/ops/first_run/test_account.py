from __future__ import annotations

from typing import Any, Dict

import pytest

from kafka_worker.ops.first_run.account import Account, Crash, Event, read_line, victim

PREFIX = "2026-11-23 20:55:01,123 INFO slot-3[4711] "
CRASH = Crash(slot=1, pid=100, partitions=frozenset({7}), running=4, at=50.0)


def begun(scenario: int, slot: int = 0, pid: int = 1) -> Event:
    return Event(slot, pid, scenario, finished=False)


def finished(scenario: int, slot: int = 0, pid: int = 1) -> Event:
    return Event(slot, pid, scenario, finished=True)


def slot_report(slot: int, pid: int, tasks: int, partitions: Any = ()) -> Dict[str, Any]:
    child = {"tasks": [{}] * tasks, "partitions": [{"partition": number} for number in partitions]}
    return {"slot": slot, "pid": pid, "child": child}


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (
            PREFIX + "Processing message: {'scenario': 17, 'name': 'scenario 17'}",
            Event(3, 4711, 17, finished=False),
        ),
        (PREFIX + "Finished processing message: {'name': 'x', 'scenario': 0}", Event(3, 4711, 0, finished=True)),
        (
            "2026-11-23 20:55:01,123 INFO slot-3/quarantine-0[4712] Finished processing message: {'scenario': 5}",
            Event(3, 4712, 5, finished=True, apart=True),
        ),
    ],
)
def test_a_handler_s_line_says_which_process_began_or_finished_which_scenario(line: str, event: Event) -> None:
    assert read_line(line) == event


@pytest.mark.parametrize(
    "line",
    [
        "",
        PREFIX + "Using 4 threads for concurrent processing.",
        PREFIX + "Processing message: {'order': 17}",
        "2026-11-23 20:55:01,123 INFO supervisor[99] Processing message: {'scenario': 17}",
    ],
)
def test_every_other_line_says_nothing(line: str) -> None:
    assert read_line(line) is None


def test_a_scenario_is_done_once_however_often_it_was_finished() -> None:
    account = Account([0, 0, 0])

    for event in (begun(0), finished(0), begun(0, pid=2), finished(0, pid=2), begun(1)):
        account.note(event, now=1.0)

    assert (account.sent, account.done, account.lost) == (3, 1, 2)


def test_a_scenario_begun_again_counts_as_run_twice_even_when_its_first_run_was_cut_off() -> None:
    account = Account([0, 0])

    for event in (begun(0), begun(1), begun(1, pid=2), finished(1, pid=2), finished(0)):
        account.note(event, now=1.0)

    assert account.twice == 1


def test_the_return_of_slot_and_partitions_is_timed_from_the_crash() -> None:
    account = Account([7, 2, 7])
    account.crash = CRASH

    account.note(begun(1, slot=0, pid=5), now=51.0)  # elsewhere: work that never stopped
    account.note(begun(0, slot=0, pid=5), now=52.5)  # the killed process's partition, in another slot
    account.note(begun(1, slot=1, pid=200), now=54.0)  # its slot
    account.note(begun(2, slot=1, pid=200), now=60.0)  # later ones change nothing

    assert (account.partitions_back, account.slot_back, account.successor) == (2.5, 4.0, 200)


def test_last_words_of_the_killed_process_are_no_return() -> None:
    account = Account([7])
    account.crash = CRASH

    account.note(begun(0, slot=1, pid=100), now=50.1)

    assert (account.partitions_back, account.slot_back) == (None, None)


def test_the_victim_is_the_process_that_runs_most() -> None:
    slots = [slot_report(0, 10, 1), slot_report(1, 11, 3, partitions=(2, 5)), slot_report(2, 12, 2)]

    assert victim(slots, now=9.0) == Crash(1, 11, frozenset({2, 5}), 3, 9.0)


@pytest.mark.parametrize(
    "slot",
    [
        slot_report(0, 10, 0),
        {**slot_report(0, 10, 2), "pid": 0},
        {**slot_report(0, 10, 2), "child": None},
    ],
)
def test_there_is_no_victim_while_nothing_runs(slot: Dict[str, Any]) -> None:
    assert victim([slot], now=9.0) is None


def test_the_account_tells_what_the_reader_wants_to_know() -> None:
    account = Account([7, 7])
    for event in (begun(0), begun(1, slot=1, pid=100), finished(0)):
        account.note(event, now=49.0)
    account.crash = CRASH
    for event in (begun(1, slot=1, pid=200), finished(1, slot=1, pid=200)):
        account.note(event, now=53.25)

    text = "\n".join(account.lines(complete=True))

    for words in ("sent         2", "done         2", "by 3 processes", "lost         0", "run twice    1"):
        assert words in text
    assert "killed: process 100 of slot 1" in text
    assert "slot worked again after 3.2 s (process 200)" in text


def test_an_account_without_a_crash_does_not_speak_of_one() -> None:
    assert "killed" not in "\n".join(Account([0]).lines(complete=True))


def test_what_an_interrupted_run_has_not_done_is_not_called_lost() -> None:
    text = "\n".join(Account([0, 0]).lines(complete=False))

    assert "lost" not in text
    assert "to do        2" in text


def test_what_runs_apart_is_done_and_says_nothing_of_when_the_slot_worked_again() -> None:
    account = Account([7, 7])
    account.crash = CRASH

    account.note(Event(1, 101, 0, finished=False, apart=True), 51.0)
    account.note(Event(1, 101, 0, finished=True, apart=True), 52.0)
    account.note(begun(1, slot=1, pid=102), 53.0)

    assert (account.done, account.slot_back, account.successor) == (1, 3.0, 102)
