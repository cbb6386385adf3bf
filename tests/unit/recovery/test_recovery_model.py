"""Deaths, moves, and topics and groups that are made anew, in any order."""

from __future__ import annotations

import tempfile
from random import Random
from typing import Callable, Dict, Iterator, List, Optional, Set, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_worker.partitions.stored import UNKNOWN, Home
from tests.unit.lives import NOTHING, Life, small_journals


@pytest.fixture(autouse=True, scope="module")
def _small_journal() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        small_journals(patch, 16, 4)
        yield


# What is drawn by chance: for Hypothesis it would be most of the work.
CHANCE = st.integers(0, 2**32).map(Random)


@given(CHANCE, st.booleans())
def test_over_any_sequence_of_deaths_nothing_is_lost_and_nothing_done_is_run_again(chance: Random, use_map: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        done: Set[int] = set()
        place: Tuple[int, Optional[str]] = Life(None, 0, None).commit()
        for _ in range(chance.randint(1, 6)):
            life = Life(folder + "/journal", *place, use_map=use_map)
            for _ in range(chance.randint(0, 3)):
                count = chance.randint(1, 12)
                expected = {offset for offset in range(life.next, life.next + count) if offset not in done}
                assert life.deliver(count) == expected
                finished = chance.sample(sorted(expected), chance.randint(0, len(expected)))
                life.finish(*finished)
                done.update(finished)
                if chance.random() < 0.5:
                    place = life.send()
                    if chance.random() < 0.5:
                        life.answered(*place)
                assert set(range(place[0])) <= done


class Broker:
    """A topic of one partition with a group, and everything that can be done to them while processes come, go and die."""

    def __init__(self, folder: str, *, use_map: bool, tells_ids: bool) -> None:
        self.folder, self.use_map, self.tells_ids = folder, use_map, tells_ids
        self.place: Tuple[int, Optional[str]] = NOTHING
        self.topic = 0  # how often it was made anew
        self.done: Set[Tuple[int, int]] = set()  # (topic, offset)
        self.lives: Dict[int, Life] = {}  # by slot: the last of a living process, whether it has the partition or not
        self.late: List[Tuple[int, Life]] = []  # whose tasks may still run: (topic, life)
        self.owner = -1  # the slot that has the partition

    def assign(self, slot: int) -> None:
        self.end(void=False)
        before = self.lives.get(slot)
        self.lives[slot] = Life(f"{self.folder}/{slot}", *self.place, use_map=self.use_map, of=before, home=self.home)
        self.owner = slot

    def end(self, *, void: bool) -> None:
        life = self.lives.get(self.owner)
        if life:
            life.busy.add(life.partition)
            self.late.append((self.topic, life))
            (life.recovery.void if void else life.recovery.ended)(life.partition)
        self.owner = -1

    def kill(self, slot: int) -> None:
        life = self.lives.pop(slot, None)
        if life:
            self.late = [(topic, each) for topic, each in self.late if each.recovery is not life.recovery]
        if self.owner == slot:
            self.owner = -1

    @property
    def home(self) -> Home:
        return Home("c" * 16, f"{self.topic:016x}") if self.tells_ids else UNKNOWN

    def make_anew(self, *, offsets_survive: bool) -> None:
        """The broker deletes the offsets, if not at once. Whoever has the partition is told by its id or its first message."""
        self.topic += 1
        if not (offsets_survive and self.tells_ids):
            self.place = NOTHING
        life = self.lives.get(self.owner)
        if life:
            slot = self.owner
            self.topic -= 1
            self.end(void=True)
            self.topic += 1
            self.lives[slot] = Life(None, *NOTHING, of=life, home=self.home)
            self.owner = slot

    def deliver(self, count: int, finished: Callable[[List[int]], List[int]]) -> None:
        life = self.lives[self.owner]
        first = life.next
        to_run = life.deliver(count)
        skipped = {(self.topic, offset) for offset in range(first, life.next)} - {(self.topic, each) for each in to_run}
        assert skipped <= self.done, "what was never done is taken for done"
        self.finish(self.topic, life, finished(sorted(life.open)))

    def finish(self, topic: int, life: Life, offsets: List[int]) -> None:
        life.finish(*offsets)
        self.done.update((topic, offset) for offset in offsets)

    def commit(self, *, stored: bool, answered: bool) -> None:
        life = self.lives[self.owner]
        place = life.send()
        if place[0] < 0:
            return
        assert {(self.topic, offset) for offset in range(place[0])} <= self.done
        if stored:
            self.place = place
            if answered:
                life.answered(*place)


@given(CHANCE, st.booleans(), st.booleans())
def test_whatever_is_done_to_topic_and_group_no_message_is_taken_for_done_that_was_not(
    chance: Random, use_map: bool, tells_ids: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(folder, use_map=use_map, tells_ids=tells_ids)
        for _ in range(60):
            one_deed(broker, chance)


def one_deed(broker: Broker, chance: Random) -> None:
    def some(offsets: List[int]) -> List[int]:
        return offsets if chance.random() < 0.6 else chance.sample(offsets, chance.randint(0, len(offsets)))

    slot = chance.randint(0, 1)
    deed = chance.randint(0, 12)
    if deed <= 1:  # it comes back to where it was, most often
        broker.assign(slot if deed else max(0, broker.owner))
    elif deed == 2:
        broker.kill(slot)
    elif deed == 3:
        broker.end(void=False)
    elif deed == 4:
        broker.make_anew(offsets_survive=chance.random() < 0.5)
    elif deed == 5 and broker.owner < 0:
        broker.place = chance.choice([NOTHING, (0, "")])  # the group is deleted, or its offset moved
    elif deed == 6 and broker.late:
        topic, life = chance.choice(broker.late)
        broker.finish(topic, life, some(sorted(life.open)))
    elif deed > 6 and broker.owner >= 0:
        if chance.randint(0, 2):
            broker.deliver(chance.randint(1, 8), some)
        else:
            broker.commit(stored=chance.random() < 0.7, answered=chance.random() < 0.7)
