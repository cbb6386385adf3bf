from __future__ import annotations

from typing import Type

import pytest

from kafka_worker.partitions.queues import FirstComeFirstServed, InOrderOfOffset, Queue

BOTH = pytest.mark.parametrize("kind", [InOrderOfOffset, FirstComeFirstServed])


@BOTH
def test_delivered_tasks_come_out_in_the_order_of_their_offsets(kind: Type[Queue]) -> None:
    queue = kind()

    queue.extend([(1,), (2,)])
    queue.extend([(5,)])

    assert [queue.pop() for _ in range(3)] == [(1,), (2,), (5,)]


@BOTH
def test_taking_from_an_empty_queue_raises_index_error(kind: Type[Queue]) -> None:
    with pytest.raises(IndexError):
        kind().pop()


@BOTH
def test_length_is_the_number_of_waiting_tasks(kind: Type[Queue]) -> None:
    queue = kind()
    queue.extend([(1,), (2,)])
    queue.put((0,))
    queue.pop()

    assert len(queue) == 2


def test_a_task_that_was_put_comes_out_where_its_offset_belongs() -> None:
    queue = InOrderOfOffset()
    queue.extend([(1,), (4,), (9,)])

    for offset in (5, 0, 3):
        queue.put((offset,))

    assert [queue.pop()[0] for _ in range(6)] == [0, 1, 3, 4, 5, 9]


def test_delivered_tasks_stay_behind_what_was_put_before() -> None:
    queue = InOrderOfOffset()
    for offset in (7, 3, 5):
        queue.put((offset,))

    queue.extend([(8,), (9,)])

    assert [queue.pop()[0] for _ in range(5)] == [3, 5, 7, 8, 9]


def test_without_lanes_a_task_that_has_waited_elsewhere_is_next() -> None:
    queue = FirstComeFirstServed()
    queue.extend([(8,), (9,)])

    queue.put((2,))

    assert queue.pop() == (2,)
