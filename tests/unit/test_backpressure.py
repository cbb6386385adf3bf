from __future__ import annotations

from typing import List, Tuple

import pytest

from worker.assignment import Partition
from worker.backpressure import LARGEST_BATCH, Backpressure


def decided(limit: int, *counts: int, paused: Tuple[int, ...] = ()) -> Tuple[List[int], List[int]]:
    """The numbers of the partitions to pause and to resume."""
    partitions = [Partition("topic", number) for number in range(len(counts))]
    for number in paused:
        partitions[number].paused = True
    pause, resume = Backpressure(limit).decide(zip(partitions, counts))
    return [p.number for p in pause], [p.number for p in resume]


def test_nothing_is_paused_while_all_have_less_than_their_share() -> None:
    assert decided(100, 49, 0) == ([], [])


def test_a_partition_with_its_share_is_paused_and_the_others_go_on() -> None:
    assert decided(100, 50, 10) == ([0], [])


def test_all_are_paused_when_the_process_is_full() -> None:
    assert decided(100, 99, 1, 0) == ([0, 1, 2], [])


def test_nothing_is_resumed_while_the_process_is_full() -> None:
    assert decided(100, 100, 0, paused=(0, 1)) == ([], [])


def test_a_paused_partition_is_resumed_at_half_its_share_and_not_before() -> None:
    assert decided(100, 26, 0, paused=(0,)) == ([], [])
    assert decided(100, 25, 0, paused=(0,)) == ([], [0])


def test_with_more_partitions_than_room_each_may_have_one() -> None:
    assert decided(2, 0, 0, 1, 0) == ([2], [])
    assert decided(2, 0, 0, 0, 0, paused=(2,)) == ([], [2])


def test_a_held_partition_is_paused_with_nothing_in_flight_and_stays_so_until_it_is_not_held() -> None:
    held, other = Partition("topic", 0), Partition("topic", 1)
    held.held = "its dead letters can't be stored"
    first = Backpressure(100).decide([(held, 0), (other, 0)])
    held.paused = True
    later = Backpressure(100).decide([(held, 0), (other, 0)])
    held.held = ""
    at_last = Backpressure(100).decide([(held, 0), (other, 0)])

    assert (first, later, at_last) == (([held], []), ([], []), ([], [held]))


def test_what_sleeps_in_a_retry_topic_has_room_of_its_own_and_makes_nothing_full() -> None:
    ordinary, retry = Partition("topic", 0), Partition("topic.retry.1h", 0)
    retry.origin = "topic"

    assert Backpressure(100).decide([(ordinary, 99), (retry, 500)]) == ([retry], [])
    assert Backpressure(100).decide([(ordinary, 100), (retry, 99)]) == ([ordinary], [])


def test_without_partitions_there_is_nothing_to_decide() -> None:
    assert decided(100) == ([], [])


@pytest.mark.parametrize(
    ("limit", "in_flight", "room"),
    [(1000, 0, 125), (1000, 900, 100), (1000, 1000, 1), (1000, 2000, 1), (1, 0, 1), (1_000_000, 0, LARGEST_BATCH)],
)
def test_room_is_an_eighth_of_the_limit_or_what_is_left_and_at_least_one(limit: int, in_flight: int, room: int) -> None:
    assert Backpressure(limit).room(in_flight) == room
