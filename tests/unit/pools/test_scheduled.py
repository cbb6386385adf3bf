from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

import pytest

from kafka_worker.handler.loading import Kind
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task
from kafka_worker.pools.scheduled import NotYetError, Scheduled, left
from kafka_worker.shared.foreign.deliver_at import HEADER, written
from kafka_worker.shared.foreign.errors import InvalidMessageError
from tests.unit.fakes import Message

NOW = 1_900_000_000.0
SCHEDULED = Scheduled(60.0, lambda: NOW)


def message(after: float, offset: int = 0) -> Message:
    made = Message(offset)
    made.given_headers = [(HEADER, written(NOW + after).encode())]
    return made


@pytest.mark.parametrize("kind", [Kind.THREAD, Kind.ASYNC])
def test_a_handler_is_called_when_the_time_of_its_message_has_come_or_it_has_none(kind: Kind) -> None:
    call = SCHEDULED.of(kind, lambda message, *_: message.offset())
    partition = Partition("topic", 0)

    assert [call(each, partition, 1) for each in (message(-9.0, 1), message(0.0, 2), Message(3))] == [1, 2, 3]
    with pytest.raises(NotYetError, match=r"waits until 2030-03-17T17:47:40\.000Z, the time of its header deliver-at"):
        call(message(60.0), partition, 1)
    with pytest.raises(InvalidMessageError, match=r"further ahead than DELIVER_AT_MAX_SECONDS = 60"):
        call(message(60.1), partition, 1)


def test_of_a_list_those_are_called_whose_time_has_come() -> None:
    called: List[List[int]] = []

    def handler(tasks: Sequence[Task]) -> Tuple[Any, Dict[int, BaseException]]:
        called.append([task[0] for task in tasks])
        return "result", {1: ValueError("bad")} if len(tasks) > 1 else {}

    partition = Partition("topic", 0)
    segment, _ = partition.tracker.take(0, 4)
    after = [-1.0, 5.0, 99.0, -1.0]
    tasks: List[Task] = [(place, segment, message(each, place), None, 1, partition) for place, each in enumerate(after)]
    call = SCHEDULED.of(Kind.BATCH, handler)

    result, failures = call(tasks)
    nothing = call(tasks[1:2])

    assert (result, {place: type(error) for place, error in failures.items()}) == (
        "result", {1: NotYetError, 2: InvalidMessageError, 3: ValueError},
    )  # fmt: skip
    assert (nothing[0], list(nothing[1])) == (None, [0])
    assert call([tasks[0]]) == ("result", {})
    assert called == [[0, 3], [0]]


@pytest.mark.parametrize(
    ("value", "seconds"), [(written(NOW + 5).encode(), 5.0), (written(NOW - 5).encode(), 0.0), (b"x", 0.0)]
)
def test_how_long_a_message_still_waits_is_told_without_raising(value: bytes, seconds: float) -> None:
    made = Message(0)
    made.given_headers = [(HEADER, value)]

    assert left(made, NOW) == seconds
