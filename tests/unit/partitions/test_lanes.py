from __future__ import annotations

import sys
from typing import List, Optional

from kafka_worker.partitions import intake
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.lanes import ORDERINGS, Lane
from kafka_worker.partitions.task import Task
from tests.unit.fakes import Message


def task(offset: int) -> Task:
    partition = Partition("topic", 0)
    return offset, partition.tracker.take(offset)[0], Message(offset), None, 1, partition


def admitted(*keys: Optional[bytes], to: Optional[Partition] = None, first: int = 0, ordering: str = "key") -> List[Task]:
    messages = [Message(first + index, key) for index, key in enumerate(keys)]
    return intake.tasks(to or Partition("topic", 0), messages, ORDERINGS[ordering].lane_of)


def offsets(tasks: List[Task]) -> List[int]:
    return [task[0] for task in tasks]


def test_the_first_task_of_each_key_may_run_and_its_followers_wait() -> None:
    assert offsets(admitted(b"a", b"a", b"b", b"a", b"b")) == [0, 2]


def test_messages_without_a_key_run_freely() -> None:
    tasks = admitted(None, None, None)

    assert offsets(tasks) == [0, 1, 2]
    assert {task[3] for task in tasks} == {None}


def test_an_empty_key_is_a_key() -> None:
    assert offsets(admitted(b"", b"")) == [0]


def test_ordering_by_partition_runs_one_task_at_a_time() -> None:
    assert offsets(admitted(None, b"a", b"b", ordering="partition")) == [0]


def test_ordering_none_has_no_lanes() -> None:
    assert ORDERINGS["none"].lane_of is None


def test_release_gives_the_followers_in_order_and_then_nothing() -> None:
    lane = Lane()
    given = [lane.admit(task(offset)) for offset in range(3)]

    followers = [lane.release(), lane.release(), lane.release()]

    assert [each and each[0] for each in given] == [0, None, None]
    assert [each and each[0] for each in followers] == [1, 2, None]


def test_a_held_lane_gives_nothing() -> None:
    lane = Lane()
    lane.admit(task(0))
    lane.admit(task(1))

    assert lane.next() is None


def test_nobody_overtakes_in_the_moment_between_a_release_and_the_look_for_the_follower() -> None:
    lane = Lane()
    lane.admit(task(0))
    lane.admit(task(1))
    lane.hold.release()  # the first half of what `release` does, in a handler thread

    admitted_now, then = lane.admit(task(2)), lane.next()

    assert admitted_now is not None
    assert admitted_now[0] == 1
    assert then is None


def test_a_lane_is_idle_only_when_nothing_runs_and_nothing_waits() -> None:
    lane = Lane()
    seen = [lane.idle]

    lane.admit(task(0))
    seen.append(lane.idle)
    lane.release()
    seen.append(lane.idle)

    assert seen == [True, False, True]


def test_a_lane_in_which_nobody_has_waited_takes_little_memory() -> None:
    """Ten thousand keys are ten thousand lanes: a place to wait in would be six times as much."""
    lane = Lane()
    lane.admit(task(0))

    assert sys.getsizeof(lane) + sys.getsizeof(lane.hold) + sys.getsizeof(lane.waiting) < 200
    assert (lane.listed(), lane.give_up(task(1)), lane.release()) == ([], False, None)


def test_idle_lanes_are_forgotten_when_there_are_many_and_busy_ones_are_kept() -> None:
    partition = Partition("topic", 0)
    admitted(b"busy", to=partition)
    for number in range(1, 1026):
        (quick,) = admitted(b"%d" % number, to=partition, first=number)
        assert quick[3] is not None
        quick[3].release()

    follower = admitted(b"busy", to=partition, first=5000)

    assert len(partition.lanes) < 10
    assert follower == []
