from __future__ import annotations

import logging
from typing import Callable, Iterator, List

import pytest

from kafka_worker.shared.ipc.snapshot import Stage, TaskReport
from kafka_worker.supervision.children.child import ChildState
from kafka_worker.supervision.slots.slot import Slot
from tests.unit.supervision.puppet import Puppet

Make = Callable[..., Puppet]


@pytest.fixture
def make() -> Iterator[Make]:
    made: List[Puppet] = []

    def new(pid: int) -> Puppet:
        made.append(Puppet(pid))
        return made[-1]

    yield new
    for puppet in made:
        puppet.close()


def test_a_new_slot_is_empty_and_due() -> None:
    slot = Slot(3, now=100.0)

    assert (slot.empty, slot.filled, slot.steady, slot.start_at) == (True, False, False, 100.0)


def test_a_successor_takes_the_place_of_the_child_that_ended(make: Make) -> None:
    slot, old, new = Slot(3, 100.0), make(1), make(2)
    slot.child, slot.successor = old.child, new.child
    none = slot.reap()
    old.ends(-9)

    ended = slot.reap()

    assert none is None
    assert ended is old.child
    assert slot.child is new.child
    assert slot.successor is None


def test_a_successor_that_ends_before_its_turn_leaves_the_child_alone(make: Make) -> None:
    slot, old, new = Slot(3, 100.0), make(1), make(2)
    slot.child, slot.successor = old.child, new.child
    new.ends(78)

    assert slot.reap_successor() is new.child
    assert slot.child is old.child
    assert slot.successor is None


@pytest.mark.parametrize(
    ("stage", "filled", "steady"), [("starting", False, False), ("waiting", True, False), ("consuming", True, True)]
)
def test_a_slot_is_filled_by_a_running_child_and_settled_by_a_consuming_one(
    make: Make, stage: str, filled: bool, steady: bool
) -> None:
    slot, puppet = Slot(3, 100.0), make(1)
    slot.child = puppet.child
    puppet.says(stage)

    assert (slot.filled, slot.steady, slot.empty) == (filled, steady, False)


def test_a_slot_with_a_waiting_successor_is_not_steady(make: Make) -> None:
    slot, puppet = Slot(3, 100.0), make(1)
    slot.child, slot.successor = puppet.child, make(2).child
    puppet.says("consuming")

    assert not slot.steady


def test_that_a_process_was_in_the_group_is_known_when_it_has_lost_its_place_and_when_it_was_replaced(make: Make) -> None:
    slot, old, new = Slot(3, 100.0), make(1), make(2)
    slot.child, slot.successor = old.child, new.child
    new.says("waiting", joined=False)
    known = [slot.has_joined]
    for joined in (False, True, False):
        old.says("consuming", joined=joined)
        known.append(slot.has_joined)
    old.ends(0)
    slot.reap()
    known.append(slot.has_joined)
    new.ends(78)
    slot.reap()
    known.append(slot.has_joined)

    assert known == [False, False, True, True, True, True]


def test_stop_asks_both_processes_and_starts_no_more(make: Make) -> None:
    slot, old, new = Slot(3, 100.0), make(1), make(2)
    slot.child, slot.successor = old.child, new.child

    slot.stop(leave=True, kill_at=130.0)

    assert slot.start_at is None
    assert [each.child.state for each in (old, new)] == [ChildState.STOPPING, ChildState.STOPPING]


def test_the_report_of_a_working_slot_tells_of_its_processes(make: Make) -> None:
    slot, puppet = Slot(3, 100.0), make(1)
    slot.child, slot.successor, slot.start_at = puppet.child, make(2).child, None
    puppet.says("consuming", awake=51.0)

    report = slot.report(now=110.0, awake=53.5)

    assert (report.slot, report.state, report.pid, report.successor_pid) == (3, "running", 1, 2)
    assert (report.uptime, report.heartbeat_age, report.restart_in) == (10.0, 2.5, -1.0)
    assert report.child is not None
    assert report.child.stage is Stage.CONSUMING


def test_the_report_of_an_empty_slot_tells_when_it_is_filled_again() -> None:
    slot = Slot(3, now=100.0)
    slot.last_exit = "exit 70 (fault)"

    report = slot.report(now=98.0, awake=50.0)

    assert (report.state, report.pid, report.restart_in, report.last_exit) == ("backoff", 0, 2.0, "exit 70 (fault)")
    assert slot.report(now=105.0, awake=50.0).restart_in == 0.0
    slot.stop(leave=True, kill_at=60.0)
    assert (slot.report(now=105.0, awake=50.0).state, slot.report(now=105.0, awake=50.0).restart_in) == ("exited", -1.0)


def test_deaths_one_after_the_other_are_told_until_a_process_is_well_for_a_minute(make: Make) -> None:
    slot, puppet = Slot(3, 100.0), make(1)
    slot.child, slot.record.failures = puppet.child, 5
    puppet.says("consuming")

    told = [slot.report(now=puppet.child.started_at + lived, awake=50.0).failures for lived in (1.0, 59.0, 61.0)]

    assert told == [5, 5, 0]


def test_a_kill_names_what_it_cuts_off_and_nothing_of_the_process_beside(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    slot, old, new = Slot(3, 100.0), make(1), make(2)
    slot.child, slot.successor = old.child, new.child
    old.says("consuming", tasks=[TaskReport("t", 1, 42, None, 1, "handler-0", 7.5)])
    new.says("waiting")
    new.becomes(ChildState.ABORTING)
    old.child.kill_at = new.child.kill_at = 60.0

    with caplog.at_level(logging.ERROR):
        slot.kill_if_overdue(new.child, awake=60.0)
        slot.kill_if_overdue(old.child, awake=60.0)

    assert caplog.messages == [
        "slot 3: process 2 did not end in time: SIGKILL",
        "slot 3: process 1 did not end in time: SIGKILL",
        "slot 3: cut off: t[1] offset 42, running for 7.5 s at its last heartbeat; it runs again",
    ]
