from __future__ import annotations

from typing import List, Tuple

import pytest

from kafka_worker.kafka.backpressure import LARGEST_BATCH, Limits, Load
from kafka_worker.partitions.assignment import Partition


def decided(limit: int, *counts: int, paused: Tuple[int, ...] = ()) -> Tuple[List[int], List[int]]:
    """The numbers of the partitions to pause and to resume."""
    partitions = [Partition("topic", number) for number in range(len(counts))]
    for number in paused:
        partitions[number].flow.paused = True
    pause, resume, _ = Limits(limit).decide([load(*pair) for pair in zip(partitions, counts)])
    return [p.number for p in pause], [p.number for p in resume]


def load(partition: Partition, number: int, weight: int = 0, step: int = 1) -> Load:
    return partition, number, max(number, weight), step


def test_nothing_is_paused_while_all_have_less_than_their_share() -> None:
    assert decided(100, 49, 0) == ([], [])


def test_a_partition_with_its_share_is_paused_and_the_others_go_on() -> None:
    assert decided(100, 50, 10) == ([0], [])


def test_all_that_have_something_are_paused_when_the_process_is_full_as_after_a_rebalance() -> None:
    assert decided(100, 99, 1, 0) == ([0, 1], [])
    assert decided(2, 2, 0, 0) == ([0, 1, 2], [])


def test_only_who_has_nothing_is_resumed_while_the_process_is_full() -> None:
    assert decided(100, 99, 1, 0, paused=(0, 1, 2)) == ([], [2])


def test_a_paused_partition_is_resumed_at_half_its_share_and_not_before() -> None:
    assert decided(100, 26, 0, paused=(0,)) == ([], [])
    assert decided(100, 25, 0, paused=(0,)) == ([], [0])


def test_with_more_partitions_than_room_each_may_have_one() -> None:
    assert decided(2, 0, 0, 1, 0) == ([2], [])
    assert decided(2, 0, 0, 0, 0, paused=(2,)) == ([], [2])


def test_a_held_partition_is_paused_with_nothing_in_flight_and_stays_so_until_it_is_not_held() -> None:
    held, other = Partition("topic", 0), Partition("topic", 1)
    held.flow.held = "its dead letters can't be stored"
    loads = [load(held, 0), load(other, 0)]
    first = Limits(100).decide(loads)[:2]
    held.flow.paused = True
    later = Limits(100).decide(loads)[:2]
    held.flow.held = ""
    at_last = Limits(100).decide(loads)[:2]

    assert (first, later, at_last) == (([held], []), ([], []), ([], [held]))


def test_what_sleeps_in_a_retry_topic_has_room_of_its_own_and_makes_nothing_full() -> None:
    ordinary, retry = Partition("topic", 0), Partition("topic.retry.1h", 0)
    retry.retries_of = "topic"

    assert Limits(100).decide([load(ordinary, 99), load(retry, 500)])[:2] == ([retry], [])
    assert Limits(100).decide([load(ordinary, 100), load(retry, 99)])[:2] == ([ordinary], [])


def test_without_partitions_there_is_nothing_to_decide() -> None:
    assert decided(100) == ([], [])


@pytest.mark.parametrize(
    ("limit", "in_flight", "room"),
    [(1000, 0, 125), (1000, 900, 100), (1000, 1000, 1), (1000, 2000, 1), (1, 0, 1), (1_000_000, 0, LARGEST_BATCH)],
)
def test_room_is_an_eighth_of_the_limit_or_what_is_left_and_at_least_one(limit: int, in_flight: int, room: int) -> None:
    assert Limits(limit).decide([load(Partition("topic", 0), in_flight)])[2] == room


def test_a_busy_partition_among_idle_ones_has_its_own_part_and_half_of_what_is_common() -> None:
    idle = [0] * 249

    assert decided(1000, 251, *idle) == ([], [])
    assert decided(1000, 252, *idle) == ([0], [])
    assert decided(1000, 127, *idle, paused=(0,)) == ([], [])
    assert decided(1000, 126, *idle, paused=(0,)) == ([], [0])
    assert decided(1000, 168, 167, *idle[1:]) == ([0], [])


def test_who_comes_when_all_is_lent_has_its_own_part() -> None:
    assert decided(100, 56, 20, 11, 12) == ([0, 1, 3], [])


HEAVY = 200


@pytest.mark.parametrize(("held", "step", "stopped"), [("", 1, False), ("", 30, True), ("it can't be stored", 30, False)])
def test_for_a_message_heavier_than_all_that_may_be_in_flight_only_the_heavy_ones_of_others_wait_and_not_if_it_stays(
    held: str, step: int, *, stopped: bool
) -> None:
    heavy, other = Partition("topic", 0), Partition("topic", 1)
    heavy.flow.held, heavy.flow.paused = held, True

    pause, _, room = Limits(100).decide([load(heavy, 1, HEAVY), load(other, 0, step=step)])

    assert (pause, room) == ([other] if stopped else [], 12 if held else 1)


def test_a_message_heavier_than_all_that_may_be_in_flight_is_taken_when_nothing_is() -> None:
    partition = Partition("topic", 0)
    partition.flow.paused = True

    assert Limits(100).decide([load(partition, 0, step=HEAVY)])[:2] == ([], [partition])


def test_a_partition_that_is_held_with_all_the_room_stops_none_that_comes_then() -> None:
    held, fresh = Partition("topic", 0), Partition("topic", 1)
    held.flow.held, held.flow.paused, fresh.flow.paused = "it can't be stored", True, True

    assert Limits(100).decide([load(held, 100), load(fresh, 0)])[:2] == ([], [fresh])


def test_a_heavy_message_that_sleeps_in_a_retry_topic_keeps_no_other_from_sleeping_beside_it() -> None:
    one, other = Partition("topic.retry.1h", 0), Partition("topic.retry.1h", 1)
    one.retries_of = other.retries_of = "topic"
    other.flow.paused = True

    assert Limits(100).decide([load(one, 1, HEAVY), load(other, 0, step=HEAVY)])[:2] == ([one], [other])
