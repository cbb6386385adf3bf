from __future__ import annotations

from typing import Dict, Iterator, List

import pytest

from kafka_worker.supervision.slots.recycling import LONGEST_PAUSE_SECONDS, PAUSE_SECONDS, RecyclingSchedule
from kafka_worker.supervision.slots.slot import Slot
from tests.unit.supervision.puppet import Puppet

WISH = "3600 s old"


@pytest.fixture
def puppets() -> Iterator[List[Puppet]]:
    made = [Puppet(number) for number in range(3)]
    yield made
    for puppet in made:
        puppet.close()


def slots_of(puppets: List[Puppet], *wishes: str, stage: str = "consuming") -> Dict[int, Slot]:
    slots = {number: Slot(number, 0.0) for number in range(len(puppets))}
    for slot, puppet, wish in zip(slots.values(), puppets, wishes):
        puppet.says(stage, renew=wish)
        slot.child = puppet.child
    return slots


def test_nobody_is_recycled_who_does_not_wish_it(puppets: List[Puppet]) -> None:
    assert RecyclingSchedule().due(slots_of(puppets, "", "", ""), 200.0) is None


def test_the_oldest_of_those_that_wish_it_is_next(puppets: List[Puppet]) -> None:
    slots = slots_of(puppets, "", WISH, WISH)
    puppets[1].child.started_at = 150.0

    assert RecyclingSchedule().due(slots, 200.0) == 2
    assert [slot.recycled_for for slot in slots.values()] == ["", "", WISH]


@pytest.mark.parametrize("stage", ["waiting", "draining"])
def test_who_does_not_work_now_is_not_recycled(puppets: List[Puppet], stage: str) -> None:
    assert RecyclingSchedule().due(slots_of(puppets, WISH, WISH, WISH, stage=stage), 200.0) is None


def test_a_slot_that_goes_away_or_is_empty_is_not_recycled(puppets: List[Puppet]) -> None:
    slots = slots_of(puppets, WISH, WISH)
    slots[0].retiring = True
    slots[1].child = None

    assert RecyclingSchedule().due(slots, 200.0) is None


def test_after_a_failure_there_is_a_pause_that_doubles_until_one_succeeds(puppets: List[Puppet]) -> None:
    slots, schedule, now = slots_of(puppets, WISH), RecyclingSchedule(), 1000.0
    pauses = []
    for outcome in ["given up"] * 8 + ["done", "given up"]:
        schedule.ended(outcome, now)
        waited = next(seconds for seconds in range(LONG) if schedule.due(slots, now + seconds) is not None)
        pauses.append(waited)
        now += waited

    assert pauses[:3] == [PAUSE_SECONDS, 2 * PAUSE_SECONDS, 4 * PAUSE_SECONDS]
    assert pauses[7:] == [LONGEST_PAUSE_SECONDS, 0, PAUSE_SECONDS]


LONG = int(2 * LONGEST_PAUSE_SECONDS)
