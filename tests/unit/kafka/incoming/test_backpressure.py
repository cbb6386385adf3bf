from __future__ import annotations

from typing import Dict, List

import pytest

from kafka_worker.kafka.incoming.backpressure import Load, Shares
from kafka_worker.partitions.assignment import Partition

ENDLESS = 100_000  # messages that wait


def granted(limit: int, *counts: int, idle: int = 0) -> List[int]:
    """How much more each partition may have, of which so many messages are in flight, and others wait. Beside them there are
    idle ones."""
    busy = [waits(Partition("topic", number)) for number in range(len(counts))]
    others = [Partition("idle", number) for number in range(idle)]
    found = shares(Shares(limit), [load(*pair) for pair in zip(busy, counts)] + [load(other, 0) for other in others])
    return [found.get(partition, 0) for partition in busy]


def shares(process: Shares, loads: List[Load]) -> Dict[Partition, int]:
    return dict(process.granted(loads))


def waits(partition: Partition) -> Partition:
    partition.flow.waiting = ENDLESS
    return partition


def load(partition: Partition, number: int, weight: int = 0, step: int = 1) -> Load:
    return partition, number, max(number, weight), step


def test_all_may_have_their_share_and_no_more_together_than_the_limit() -> None:
    assert granted(100, 0, 0) == [50, 50]
    assert granted(100, 49, 10) == [1, 40]
    assert granted(100, 50, 10) == [0, 40]
    assert sum(granted(1000, *[0] * 7)) <= 1000
    assert min(granted(1000, *[0] * 7)) > 100


def test_only_who_has_nothing_may_have_one_while_the_process_is_full_as_after_a_rebalance() -> None:
    assert granted(100, 99, 1) == [0, 0]
    assert granted(100, 99, 1, 0) == [0, 0, 1]
    assert granted(2, 2, 0) == [0, 1]


def test_with_more_partitions_than_room_each_has_its_turn() -> None:
    partitions = [waits(Partition("topic", number)) for number in range(5)]
    process = Shares(2)

    turns = [shares(process, [load(partition, 0) for partition in partitions]) for _ in partitions]

    assert all(len(turn) == 2 and set(turn.values()) == {1} for turn in turns)
    assert set(partitions) == {partition for turn in turns for partition in turn}


@pytest.mark.parametrize(("held", "untold"), [("its dead letters can't be stored", False), ("", True)])
def test_of_a_partition_that_is_held_or_not_known_yet_nothing_is_taken(held: str, *, untold: bool) -> None:
    other, stopped = waits(Partition("topic", 0)), waits(Partition("topic", 1))
    stopped.flow.not_begun = untold
    if held:
        stopped.flow.refused(held, again=False)

    assert set(shares(Shares(100), [load(other, 0), load(stopped, 0)])) == {other}


def test_what_sleeps_in_a_retry_topic_has_room_of_its_own_and_makes_nothing_full() -> None:
    ordinary, retry = waits(Partition("topic", 0)), waits(Partition("topic.retry.1h", 0))
    retry.retries_of = "topic"

    assert shares(Shares(100), [load(ordinary, 99), load(retry, 500)]) == {ordinary: 1}
    assert shares(Shares(100), [load(ordinary, 100), load(retry, 99)]) == {retry: 1}


def test_without_partitions_there_is_nothing_to_decide() -> None:
    assert granted(100) == []


def test_a_busy_partition_among_idle_ones_has_its_own_part_and_half_of_what_is_common() -> None:
    assert granted(1000, 0, idle=249) == [252]
    assert granted(1000, 251, idle=249) == [1]
    assert granted(1000, 252, idle=249) == [0]


def test_with_as_many_partitions_as_places_half_of_the_room_is_lent_all_the_same() -> None:
    assert granted(100, 0, idle=99) == [26]
    assert sum(granted(100, *[0] * 8, idle=92)) > 45
    assert granted(16, *[0] * 16) == [1] * 16


def test_partitions_in_which_something_stays_keep_none_from_its_message_though_there_are_as_many_as_places() -> None:
    stuck = [11] * 5 + [1] * 40  # all that is lent, and most of what is their own

    assert granted(100, *stuck, 0, idle=54) == [0] * 45 + [1]
    assert sum(granted(100, *[1] * 100)) == 0


def test_who_comes_when_all_is_lent_has_its_own_part() -> None:
    assert granted(100, 56, 20, 11, 12) == [0, 0, 1, 0]
    assert granted(100, 62, 25, 0, 0) == [0, 0, 12, 1]


HEAVY = 200


@pytest.mark.parametrize(("held", "step", "taken"), [("", 1, 25), ("", 30, 0), ("it can't be stored", 30, 1)])
def test_for_a_message_heavier_than_all_that_may_be_in_flight_only_the_heavy_ones_of_others_wait_and_not_if_it_stays(
    held: str, step: int, taken: int
) -> None:
    heavy, other = waits(Partition("topic", 0)), waits(Partition("topic", 1))
    if held:
        heavy.flow.refused(held, again=False)

    assert shares(Shares(100), [load(heavy, 1, HEAVY), load(other, 0, step=step)]) == ({other: taken} if taken else {})


def test_a_message_heavier_than_all_that_may_be_in_flight_is_taken_when_nothing_is() -> None:
    partition = waits(Partition("topic", 0))

    assert shares(Shares(100), [load(partition, 0, step=HEAVY)]) == {partition: 1}


def test_of_heavy_messages_as_many_are_taken_as_there_is_room_for_if_they_are_like_the_last_one() -> None:
    partition = waits(Partition("topic", 0))

    assert shares(Shares(100), [load(partition, 3, 30, step=10)]) == {partition: 7}


def test_a_partition_that_is_held_with_all_the_room_stops_none_that_comes_then() -> None:
    held, fresh = waits(Partition("topic", 0)), waits(Partition("topic", 1))
    held.flow.refused("it can't be stored", again=False)

    assert shares(Shares(100), [load(held, 100), load(fresh, 0)]) == {fresh: 25}


def test_a_heavy_message_that_sleeps_in_a_retry_topic_keeps_no_other_from_sleeping_beside_it() -> None:
    one, other = waits(Partition("topic.retry.1h", 0)), waits(Partition("topic.retry.1h", 1))
    one.retries_of = other.retries_of = "topic"

    assert shares(Shares(100), [load(one, 1, HEAVY), load(other, 0, step=HEAVY)]) == {other: 1}
