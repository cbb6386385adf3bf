"""A process in which messages come, end, and stay, for hundreds of turns of its loop."""

from __future__ import annotations

import itertools
from random import Random
from typing import List, Set

from hypothesis import given, settings
from hypothesis import strategies as st

from kafka_worker.kafka.backpressure import Limits, Load
from kafka_worker.partitions.assignment import Partition

TURNS = 40


class Process:
    """Its partitions have more messages than it can take, while they have any."""

    def __init__(self, random: Random, limit: int, count: int, weights: List[int]) -> None:
        self.random = random
        self.limit = limit
        self.partitions = [Partition("topic", number) for number in range(count)]
        self.in_flight: List[List[int]] = [[] for _ in self.partitions]  # weights, in messages
        self.weights = weights
        self.prefetch = max(1, limit // 8)  # the client fetches no more ahead, in whatever measure, or one message
        self.stuck: Set[int] = set()  # those whose handlers come to no end
        self.limits = Limits(limit)

    def loads(self) -> List[Load]:
        return [
            (partition, len(weights), max(len(weights), sum(weights)), weights[-1] if weights else self.weights[0])
            for partition, weights in zip(self.partitions, self.in_flight)
        ]

    def turn(self) -> None:
        for number, weights in enumerate(self.in_flight):
            if number not in self.stuck and not self.partitions[number].flow.held:
                del weights[: self.random.randint(0, len(weights))]
        pause, resume, room = self.limits.decide(self.loads())
        for partition in pause + resume:
            partition.flow.paused = partition in pause
        self.deliver(room)

    def deliver(self, room: int) -> None:
        """As a client does: runs of one partition, of what it has fetched ahead."""
        weight = 0
        open_ones = [number for number, partition in enumerate(self.partitions) if not partition.flow.paused]
        while open_ones and room > 0 and weight < self.prefetch:
            number = self.random.choice(open_ones)
            for _ in range(min(room, self.random.choice([1, 3, room]))):
                self.in_flight[number].append(self.random.choice(self.weights))
                weight += self.in_flight[number][-1]
                room -= 1
                if weight >= self.prefetch:
                    break

    def change(self) -> None:
        """Something comes to stay, can't be stored, or is well again."""
        number = self.random.randrange(len(self.partitions))
        self.stuck ^= {number}
        other = self.random.choice(self.partitions)
        other.flow.held = "" if other.flow.held else "it can't be stored"

    @property
    def number(self) -> int:
        return sum(map(len, self.in_flight))

    @property
    def weight(self) -> int:
        return sum(map(sum, self.in_flight))


processes = st.builds(
    Process,
    st.integers(0, 1 << 32).map(Random),
    limit=st.integers(1, 60),
    count=st.integers(1, 8),
    weights=st.lists(st.sampled_from([1, 1, 1, 5, 40, 300]), min_size=1, max_size=4),
)


@settings(max_examples=30, deadline=None)
@given(processes)
def test_never_more_is_in_flight_than_allowed_and_one_batch_whatever_stays_and_comes(process: Process) -> None:
    for turn in range(TURNS):
        process.turn()
        if turn % 10 == 0:
            process.change()

        assert process.number <= process.limit + process.prefetch


@settings(max_examples=30, deadline=None)
@given(processes, st.sampled_from([1, 3, 10, 50]))
def test_messages_of_one_weight_never_weigh_more_than_allowed_and_one_batch(process: Process, weight: int) -> None:
    process.weights = [weight]
    for turn in range(TURNS):
        process.turn()
        process.stuck = set(process.random.sample(range(len(process.partitions)), turn % len(process.partitions)))

        assert process.weight <= max(process.limit, weight) + process.prefetch + weight


@settings(max_examples=30, deadline=None)
@given(processes)
def test_whatever_comes_to_stay_in_some_partitions_the_others_go_on(process: Process) -> None:
    """Heavy ones too, when only what is held stays."""
    count = len(process.partitions)
    process.limit = max(process.limit, count)
    process.limits = Limits(process.limit)
    for number in range(count - 1):
        for _ in range(5):
            process.turn()
        if process.weights == [1]:
            process.stuck.add(number)
        else:
            process.partitions[number].flow.held = "it can't be stored"
    last, taken = process.in_flight[-1], itertools.count()
    for _ in range(20):
        last.clear()
        process.turn()
        if last:
            next(taken)

    assert next(taken) > 0
