from __future__ import annotations

from typing import Callable, Dict, Iterator, List

import pytest

from kafka_worker.shared.ipc.snapshot import Replaced
from kafka_worker.supervision.children.child import Child, ChildState
from kafka_worker.supervision.slots.rolling_restart import RECYCLING, RollingRestart
from kafka_worker.supervision.slots.slot import Slot
from tests.unit.supervision.puppet import Puppet


class House:
    """Slots with consuming children, and a rolling restart that spawns puppets."""

    def __init__(self, slots: int) -> None:
        self.spawned: List[Puppet] = []
        self.olds = [Puppet(number) for number in range(slots)]
        self.slots: Dict[int, Slot] = {}
        for number, old in enumerate(self.olds):
            old.says("consuming")
            self.slots[number] = Slot(number, 0.0)
            self.slots[number].child = old.child
        self.can_spawn = True
        self.roll = RollingRestart(self.spawn, patience=30.0)
        self.roll.begin(sorted(self.slots))

    def spawn(self, _slot: int, _now: float, _awake: float) -> Child:
        if not self.can_spawn:
            raise OSError("no more processes")
        self.spawned.append(Puppet(100 + len(self.spawned)))
        return self.spawned[-1].child

    def step(self) -> bool:
        return self.roll.step(self.slots, 200.0, 50.0)

    def replace(self, number: int) -> None:
        """One slot's whole way, as far as its processes go."""
        self.step()
        self.spawned[-1].says("waiting")
        self.step()
        self.olds[number].ends(0)
        self.slots[number].reap()
        self.spawned[-1].says("consuming")
        self.step()


@pytest.fixture
def house() -> Iterator[Callable[[int], House]]:
    made: List[House] = []

    def new(slots: int) -> House:
        made.append(House(slots))
        return made[-1]

    yield new
    for each in made:
        for puppet in each.olds + each.spawned:
            puppet.close()


def test_an_old_child_is_asked_to_end_only_when_its_successor_waits_for_the_seat(house: Callable[[int], House]) -> None:
    ours = house(1)
    ours.step()
    ours.step()
    before = ours.olds[0].child.state

    ours.spawned[0].says("waiting")
    ours.step()

    assert before is ChildState.RUNNING
    assert (ours.olds[0].child.state, ours.olds[0].child.kill_at) == (ChildState.STOPPING, 80.0)  # in awake seconds
    assert ours.olds[0].line.receive() == [{"stop": {"leave": False}}]


def test_slots_are_restarted_one_after_the_other_until_all_are_done(house: Callable[[int], House]) -> None:
    ours = house(3)
    for number in range(3):
        ours.replace(number)
        assert len(ours.spawned) == number + 1

    assert ours.step()
    assert ours.roll.outcome == "done"


def test_a_slot_that_is_being_replaced_when_a_restart_begins_is_replaced_once_more(house: Callable[[int], House]) -> None:
    """Its successor may have imported the old code."""
    ours = house(2)
    ours.step()
    ours.roll.begin([0, 1])
    ours.spawned[0].says("waiting")
    ours.step()
    ours.olds[0].ends(0)
    ours.slots[0].reap()
    ours.spawned[0].says("consuming")
    ours.step()

    ours.step()

    assert len(ours.spawned) == 2
    assert ours.slots[0].successor is ours.spawned[1].child


def test_a_successor_that_fails_leaves_the_old_children_at_work(house: Callable[[int], House]) -> None:
    ours = house(2)
    ours.step()
    ours.spawned[0].ends(78)
    failed = ours.slots[0].reap_successor()
    assert failed is not None

    ours.roll.successor_failed(0, failed)

    assert ours.step()
    assert ours.roll.outcome == "given up"
    (condition,) = ours.roll.conditions()
    assert condition.kind == "roll"
    assert condition.text.startswith("Rolling restart given up 0 s ago: slot ")
    assert {old.child.state for old in ours.olds} == {ChildState.RUNNING}


def test_a_successor_that_can_not_be_spawned_leaves_the_old_children_at_work(house: Callable[[int], House]) -> None:
    ours = house(2)
    ours.can_spawn = False
    ours.step()

    assert ours.step()
    assert ours.roll.outcome == "given up"
    assert {old.child.state for old in ours.olds} == {ChildState.RUNNING}


def test_a_rolling_restart_that_was_given_up_is_told_until_one_is_done_whatever_is_recycled_meanwhile(
    house: Callable[[int], House],
) -> None:
    """The others still have the code of before."""
    ours = house(1)

    def told(name: str, *, can: bool) -> List[str]:
        ours.can_spawn = can
        ours.slots[0].child = ours.olds[0].child if not can else None  # an empty slot is done with
        ours.roll.begin([0], name)
        while not ours.step():
            pass
        return [condition.text.split(" given up ")[0] for condition in ours.roll.conditions()]

    rolls = "Rolling restart"
    assert told(rolls, can=False) == [rolls]
    assert told(RECYCLING, can=False) == [rolls, RECYCLING]
    assert told(RECYCLING, can=True) == [rolls]
    assert told(rolls, can=True) == []


def test_slots_that_are_retiring_or_empty_are_passed_over(house: Callable[[int], House]) -> None:
    ours = house(3)
    ours.slots[0].retiring = True
    ours.slots[1].child = None
    del ours.slots[2]

    assert [ours.step() for _ in range(4)] == [False, False, False, True]
    assert ours.spawned == []


def test_it_says_why_it_replaces(house: Callable[[int], House]) -> None:
    roll = house(1).roll
    rolled = roll.reason
    roll.begin([0], RECYCLING)

    assert (rolled, roll.reason) == (Replaced.ROLLED, Replaced.RECYCLED)
