"""A closed partition, for whatever was done, ran or waited when it was closed."""

from __future__ import annotations

import random
from typing import Callable, List

from hypothesis import given, settings
from hypothesis import strategies as st

from kafka_worker.partitions import intake
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task, kept_back
from tests.unit.fakes import Message


class Closing:
    """Tasks start and end by chance; from `close` on only those below the frontier start, as in the pool."""

    def __init__(self, offsets: List[int], chance: random.Random) -> None:
        self.partition = Partition("topic", 0)
        self.waiting = intake.tasks(self.partition, [Message(offset) for offset in offsets], None)
        self.running: List[Task] = []
        self.done: List[int] = []
        self.chance = chance
        chance.shuffle(self.waiting)  # lanes and retries: the order of starts is any

    def start(self) -> None:
        startable = [task for task in self.waiting if not kept_back(task)][:1]
        self.waiting = [task for task in self.waiting if task not in startable]
        self.running += startable

    def finish(self) -> None:
        if self.running:
            task = self.running.pop(self.chance.randrange(len(self.running)))
            task[1].complete(task[0])
            self.done.append(task[0])

    def fail(self) -> None:
        """It was told that it is cancelled, and raises."""
        if self.running and self.partition.closing.closed:
            task = self.running.pop(self.chance.randrange(len(self.running)))
            self.partition.closing.abandon(task[0])

    def settled(self) -> bool:
        return self.partition.closing.settled(max((task[0] for task in self.running), default=-1))


def whatever_was_done(test: Callable[..., None]) -> Callable[..., None]:
    """With so many offsets, so many steps before the partition is closed, and any order of things. Chance draws most of it:
    for Hypothesis that would be most of the work."""
    return settings(max_examples=3 * settings().max_examples)(
        given(count=st.integers(1, 30), steps=st.integers(0, 40), chance=st.integers(0, 2**32).map(random.Random))(test)
    )


@whatever_was_done
def test_a_closed_partition_settles_and_then_its_watermark_covers_everything_done_and_nothing_else(
    count: int, steps: int, chance: random.Random
) -> None:
    offsets = sorted(chance.sample(range(3001), count))
    closing = Closing(offsets, chance)
    for _ in range(steps):
        chance.choice([closing.start, closing.finish])()
    needed = max([*closing.done, *(task[0] for task in closing.running)], default=-1)

    closing.partition.closing.close(None)
    turns = 0
    while not closing.settled():
        chance.choice([closing.start, closing.finish])()
        turns += 1
        assert turns < 2000, "it never settles"

    watermark = closing.partition.tracker.watermark()
    assert not closing.running
    assert all(offset < watermark for offset in closing.done)
    assert sorted(closing.done) == [offset for offset in offsets if offset < watermark]
    assert all(offset <= needed for offset in closing.done)


@whatever_was_done
def test_it_settles_too_when_handlers_give_up_and_nothing_more_is_started_or_committed_beyond_such_a_gap(
    count: int, steps: int, chance: random.Random
) -> None:
    offsets = sorted(chance.sample(range(3001), count))
    closing = Closing(offsets, chance)
    partition = closing.partition
    for _ in range(steps):
        chance.choice([closing.start, closing.finish])()

    partition.closing.close(None)
    turns = 0
    while not closing.settled():
        before = list(closing.waiting)
        closing.start()
        assert all(task[0] < partition.closing.abandoned_from for task in before if task not in closing.waiting)
        chance.choice([closing.finish, closing.fail])()
        turns += 1
        assert turns < 2000, "it never settles"

    watermark = partition.tracker.watermark()
    assert not closing.running
    assert watermark <= partition.closing.abandoned_from
    assert [offset for offset in offsets if offset < watermark] == sorted(o for o in closing.done if o < watermark)
