"""A process in which messages come, end, and stay, for hundreds of turns of its loop."""

from __future__ import annotations

import itertools
from random import Random
from typing import List, Set

from hypothesis import given, settings
from hypothesis import strategies as st

from kafka_worker.kafka.incoming.backpressure import Load, Shares
from kafka_worker.partitions.assignment import Partition

TURNS = 40


class Process:
    """Its partitions have more messages than it can take, while they have any."""

    def __init__(self, random: Random, limit: int, count: int, weights: List[int]) -> None:
        self.random = random
        self.limit = limit
        self.partitions = [Partition("topic", number) for number in range(count)]
        for partition in self.partitions:
            partition.flow.waiting = 1000
        self.in_flight: List[List[int]] = [[] for _ in self.partitions]  # weights, in messages
        self.weights = weights
        self.ahead = max(1, limit // 8)  # what waits is no more at a time, in whatever measure, or one message
        self.stuck: Set[int] = set()  # those whose handlers come to no end
        self.shares = Shares(limit)

    def loads(self) -> List[Load]:
        return [
            (partition, len(weights), max(len(weights), sum(weights)), weights[-1] if weights else self.weights[0])
            for partition, weights in zip(self.partitions, self.in_flight)
        ]

    def turn(self) -> None:
        for number, weights in enumerate(self.in_flight):
            if number not in self.stuck and not self.partitions[number].flow.held:
                del weights[: self.random.randint(0, len(weights))]
        weight = 0
        for partition, granted in self.shares.granted(self.loads()):
            for _ in range(granted):
                if weight < self.ahead:
                    self.in_flight[partition.number].append(self.random.choice(self.weights))
                    weight += self.in_flight[partition.number][-1]

    def change(self) -> None:
        """Something comes to stay, can't be stored, or is well again."""
        number = self.random.randrange(len(self.partitions))
        self.stuck ^= {number}
        other = self.random.choice(self.partitions)
        if other.flow.held:
            other.flow.refused_no_more()
        else:
            other.flow.refused("it can't be stored", again=False)

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


@given(processes)
def test_never_more_is_in_flight_than_allowed_and_one_batch_whatever_stays_and_comes(process: Process) -> None:
    for turn in range(TURNS):
        process.turn()
        if turn % 10 == 0:
            process.change()

        assert process.number <= process.limit + process.ahead


@given(processes, st.sampled_from([1, 3, 10, 50]))
def test_messages_of_one_weight_never_weigh_more_than_allowed_and_one_batch(process: Process, weight: int) -> None:
    process.weights = [weight]
    for turn in range(TURNS):
        process.turn()
        process.stuck = set(process.random.sample(range(len(process.partitions)), turn % len(process.partitions)))

        assert process.weight <= max(process.limit, weight) + process.ahead + weight


@settings(max_examples=6)
@given(st.integers(0, 1 << 32).map(Random), st.integers(20, 40), st.floats(0.4, 1.5))
def test_with_as_many_partitions_as_places_what_comes_to_stay_in_nearly_half_as_many_stops_no_other(
    random: Random, limit: int, share: float
) -> None:
    process = Process(random, limit, int(share * limit), [1])
    stay = min(limit // 2, len(process.partitions)) - 2
    for number in random.sample(range(len(process.partitions)), stay):
        process.turn()
        process.stuck.add(number)
    went_on = set()
    for _ in range(60 * len(process.partitions) // limit + 60):
        process.turn()
        assert process.number <= limit
        went_on |= {number for number, weights in enumerate(process.in_flight) if weights and number not in process.stuck}

    assert went_on | process.stuck == set(range(len(process.partitions)))


@given(processes)
def test_whatever_comes_to_stay_in_some_partitions_the_others_go_on(process: Process) -> None:
    """Heavy ones too, when only what is held stays."""
    count = len(process.partitions)
    process.limit = max(process.limit, count)
    process.shares = Shares(process.limit)
    for number in range(count - 1):
        for _ in range(5):
            process.turn()
        if process.weights == [1]:
            process.stuck.add(number)
        else:
            process.partitions[number].flow.refused("it can't be stored", again=False)
    last, taken = process.in_flight[-1], itertools.count()
    for _ in range(20):
        last.clear()
        process.turn()
        if last:
            next(taken)

    assert next(taken) > 0
