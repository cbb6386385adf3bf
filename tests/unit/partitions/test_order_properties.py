"""Lanes, queues and retries together: for whatever keys, interleavings, completion orders and failures."""

from __future__ import annotations

import itertools
import random
from typing import Any, Dict, List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_worker.outcomes.retry import RetrySchedule
from kafka_worker.partitions import intake
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.lanes import ORDERINGS
from kafka_worker.partitions.task import Task, finish
from tests.unit.fakes import Message

KEYS = [None, b"a", b"b", b"c"]


class Simulation:
    """A child with simulated handler threads: every step that could come next may."""

    def __init__(self, ordering: str, keys: List[Optional[bytes]], failures: List[bool], chance: random.Random) -> None:
        self.ordering = ORDERINGS[ordering]
        self.partition = Partition("topic", 0, self.ordering.queue)
        self.undelivered = [Message(offset, key) for offset, key in enumerate(keys)]
        self.failures = failures
        self.chance = chance
        self.retries = RetrySchedule()
        self.running: List[Task] = []
        self.done: List[int] = []

    def run(self) -> None:
        steps = [self.deliver, self.start, self.start, self.finish, self.finish, self.retry]
        while self.undelivered or self.running or len(self.partition.queue) or len(self.retries):
            self.chance.choice(steps)()

    def deliver(self) -> None:
        count = self.chance.randint(1, 10)
        batch, self.undelivered = self.undelivered[:count], self.undelivered[count:]
        if batch:
            self.partition.queue.extend(intake.tasks(self.partition, batch, self.ordering.lanes_of))

    def start(self) -> None:
        if len(self.partition.queue) and len(self.running) < 4:
            task = self.partition.queue.pop()
            lanes = [running[3] for running in self.running]
            assert task[3] is None or task[3] not in lanes, "two tasks of one lane run at once"
            self.running.append(task)

    def finish(self) -> None:
        if not self.running:
            return
        task = self.running.pop(self.chance.randrange(len(self.running)))
        if self.failures and self.failures.pop():
            self.retries.add(task, self.chance.random(), 0.0)
            return
        finish(task)
        self.done.append(task[0])

    def retry(self) -> None:
        for task in self.retries.due(self.chance.random()):
            self.partition.queue.put(task)


@pytest.mark.parametrize("ordering", ["key", "partition", "none"])
@given(count=st.integers(1, 60), share=st.floats(0, 1), chance=st.integers(0, 2**32).map(random.Random))
def test_no_task_is_lost_and_each_lane_runs_in_order_one_at_a_time(
    ordering: str, count: int, share: float, chance: random.Random
) -> None:
    """`share`: of calls that fail."""
    keys = chance.choices(KEYS, k=count)
    failures = [chance.random() < share for _ in range(count)]
    simulation = Simulation(ordering, keys, failures, chance)

    simulation.run()

    assert sorted(simulation.done) == list(range(len(keys)))
    assert simulation.partition.tracker.watermark() == len(keys)
    lanes_of: Any = simulation.ordering.lanes_of or (lambda _messages: [None])
    lanes: Dict[Any, List[int]] = {}
    for offset in simulation.done:
        (name,) = itertools.islice(lanes_of([Message(offset, keys[offset])]), 1)
        lanes.setdefault(name, []).append(offset)
    lanes.pop(None, None)
    assert all(offsets == sorted(offsets) for offsets in lanes.values())
