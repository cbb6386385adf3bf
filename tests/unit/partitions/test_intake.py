from __future__ import annotations

from itertools import groupby
from typing import List, Sequence, Tuple

import pytest

from kafka_worker.partitions import intake
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.lanes import ORDERINGS
from kafka_worker.partitions.task import Task
from kafka_worker.partitions.tracker import SEGMENT_SIZE
from tests.unit.fakes import Message


def partition() -> Partition:
    return Partition("topic", 0)


def batch(offsets: Sequence[int]) -> List[Message]:
    return [Message(offset, key=b"same") for offset in offsets]


def places(tasks: List[Task]) -> List[int]:
    """Offsets, each checked against its message and its place in the segment."""
    assert all(task[0] == task[2].offset() for task in tasks)
    assert all(0 <= task[0] - task[1].base < SEGMENT_SIZE for task in tasks)
    return [task[0] for task in tasks]


@pytest.mark.parametrize(
    "offsets",
    [range(5), range(7, 8), [3, 4, 9, 2000, 2001], range(100, 100 + 3 * SEGMENT_SIZE), [0, 1, 5]],
    ids=["consecutive", "single", "with holes", "over several segments", "hole at the end"],
)
def test_each_message_becomes_a_task_with_its_own_offset_and_segment(offsets: Sequence[int]) -> None:
    ours = partition()

    tasks = intake.tasks(ours, batch(offsets), None)

    assert places(tasks) == list(offsets)
    assert {(task[3], task[4]) for task in tasks} == {(None, 1)}
    assert ours.tracker.in_flight == len(offsets)


def test_a_batch_that_crosses_a_segment_continues_in_the_next_one() -> None:
    ours = partition()
    intake.tasks(ours, batch(range(SEGMENT_SIZE - 2)), None)

    tasks = intake.tasks(ours, batch(range(SEGMENT_SIZE - 2, SEGMENT_SIZE + 2)), None)

    assert [task[1].base for task in tasks] == [0, 0, SEGMENT_SIZE, SEGMENT_SIZE]


def test_followers_in_a_lane_are_in_flight_although_they_may_not_run_yet() -> None:
    ours = partition()

    tasks = intake.tasks(ours, batch([0, 1, 5]), ORDERINGS["key"].lanes_of)

    assert places(tasks) == [0]
    assert ours.tracker.in_flight == 3


@pytest.mark.parametrize("topics", [("topic",), ("topic", "other"), ("^topic",)])
def test_a_fetch_falls_into_runs_of_one_partition(topics: Tuple[str, ...]) -> None:
    fetched = [Message(0, partition=number) for number in (3, 3, 1, 3)]

    runs = [len(list(run)) for _, run in groupby(fetched, intake.by_partition(topics)(fetched))]

    assert runs == [2, 1, 1]
