from __future__ import annotations

from typing import Any, List, Optional

import pytest

from kafka_worker.partitions import intake
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.lanes import ORDERINGS, SWEEP_AT
from kafka_worker.partitions.task import Task, finish
from tests.unit.fakes import Message


def admitted(*keys: Optional[bytes], to: Optional[Partition] = None, first: int = 0, ordering: str = "key") -> List[Task]:
    messages = [Message(first + index, key) for index, key in enumerate(keys)]
    return intake.tasks(to or Partition("topic", 0), messages, ORDERINGS[ordering].lanes_of)


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
    assert ORDERINGS["none"].lanes_of is None


def test_the_followers_come_one_by_one_in_order() -> None:
    partition = Partition("topic", 0)
    (task,) = admitted(b"a", b"a", b"a", to=partition)
    came = [task]
    while finish(came[-1]):
        came.append(partition.queue.pop())

    assert offsets(came) == [0, 1, 2]
    assert offsets(admitted(b"a", to=partition, first=3)) == [3]


@pytest.mark.parametrize("looks", ["before the mark", "after the mark", "after the follower was there"])
def test_a_follower_that_comes_while_its_task_ends_goes_on_once(looks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a handler thread has done of its two steps when the consumer thread looks at the mark."""
    partition = Partition("topic", 0)
    queued: List[Task] = []
    lanes, is_done = partition.lanes, partition.tracker.is_done
    ((_, segment, *_),) = admitted(b"a", to=partition)

    def take_the_follower() -> None:
        queued.extend(filter(None, [lanes.pop(0, None)]))

    def seen(offset: int) -> Any:
        if looks == "before the mark":
            return is_done(offset)
        segment.complete(0)
        if looks == "after the follower was there":
            take_the_follower()
        return is_done(offset)

    monkeypatch.setattr(lanes, "_is_done", seen)
    queued += admitted(b"a", to=partition, first=1)
    segment.complete(0)
    take_the_follower()

    assert offsets(queued) == [1]
    assert not lanes


@pytest.mark.parametrize("offset", [1, 2, 3])
def test_who_is_taken_out_of_the_middle_leaves_the_others_in_order(offset: int) -> None:
    partition = Partition("topic", 0)
    (task,) = admitted(b"a", b"a", b"a", b"a", to=partition)

    taken, free = partition.lanes.take_out(offset)
    admitted(b"a", to=partition, first=4)
    came = [task]
    while finish(came[-1]):
        came.append(partition.queue.pop())

    assert (taken[0], free) == (offset, None)
    assert offsets(came) == [each for each in range(5) if each != offset]


def test_who_is_taken_out_while_it_comes_free_is_not_there_any_more() -> None:
    partition = Partition("topic", 0)
    (task,) = admitted(b"a", b"a", to=partition)
    finish(task)

    assert partition.lanes.take_out(1) == (None, None)
    assert offsets([partition.queue.pop()]) == [1]


def test_lanes_in_which_all_is_done_are_forgotten_when_there_are_many_and_the_others_are_kept() -> None:
    partition = Partition("topic", 0)
    admitted(b"busy", to=partition)
    for number in range(1, 2 * SWEEP_AT + 2):
        (quick,) = admitted(b"%d" % number, to=partition, first=number)
        finish(quick)

    follower = admitted(b"busy", to=partition, first=5000)

    assert len(partition.lanes.last) < 10
    assert follower == []
