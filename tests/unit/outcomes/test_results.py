"""Results of handlers, on a producer that does what the test says."""

from __future__ import annotations

from typing import List, Sequence

import pytest
from confluent_kafka import KafkaError, KafkaException

from kafka_worker.kafka.outgoing.outbox import ROOM_SECONDS
from kafka_worker.kafka.outgoing.refusals import RESEND_SECONDS
from kafka_worker.outcomes.results import BUSY_SECONDS, ResultSender
from kafka_worker.partitions.undecided import BatchFailed, Raised, Returned, Undecided
from kafka_worker.shared.foreign.answers import Send
from tests.unit.fakes import TOPIC
from tests.unit.kafka.outgoing.desk import Desk

MISSING = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


class Outcomes:
    """What became of tasks."""

    def __init__(self, desk: Desk) -> None:
        self.done: List[int] = []
        self.failed: List[Undecided] = []
        self.results = ResultSender(desk.outbox, lambda task: self.done.append(task[0]), self.failed.append)

    def send(self, desk: Desk, *sends: Send, offsets: Sequence[int] = (7,)) -> None:
        self.results.send(Returned([desk.task(offset) for offset in offsets], list(sends)), desk.now)


def test_a_task_is_done_only_when_all_its_results_are_stored(desk: Desk) -> None:
    outcomes = Outcomes(desk)
    outcomes.send(desk, Send("a", {"x": 1}, key="k", headers={"h": "1"}), Send("b", None))
    first, second = desk.letters
    first["on_delivery"](None, None)
    after_one = list(outcomes.done)
    second["on_delivery"](None, None)

    assert (after_one, outcomes.done) == ([], [7])
    assert [(letter["topic"], letter["value"]) for letter in (first, second)] == [("a", b'{"x":1}'), ("b", None)]
    assert (first["key"], first["headers"]) == (b"k", [("h", b"1")])


def test_all_tasks_of_a_batch_are_done_together(desk: Desk) -> None:
    outcomes = Outcomes(desk)

    outcomes.send(desk, Send("a", 1), offsets=(7, 8, 9))
    desk.answer()

    assert outcomes.done == [7, 8, 9]


def test_a_result_that_can_not_be_stored_holds_the_partition_until_it_is(desk: Desk) -> None:
    outcomes = Outcomes(desk)
    outcomes.send(desk, Send("a", 1))
    desk.answer(MISSING)
    held = (desk.partition.flow.held, desk.outbox.unstored["result", TOPIC], list(outcomes.done))
    desk.now += RESEND_SECONDS
    desk.outbox.serve()
    desk.answer()

    assert held == ("a result can't be stored in a: Broker: Unknown topic or partition. To mend it, create the topic", 1, [])
    assert (desk.partition.flow.held, outcomes.done) == ("", [7])


def test_the_consumer_thread_looks_more_often_while_results_come(desk: Desk) -> None:
    outcomes = Outcomes(desk)
    results = outcomes.results
    before = results.busy(desk.now)

    outcomes.send(desk, Send("a", 1))

    assert (before, results.busy(desk.now), results.busy(desk.now + BUSY_SECONDS)) == (False, True, False)


REFUSALS = [
    BufferError("queue full"),
    KafkaException(KafkaError(KafkaError._UNKNOWN_TOPIC)),
    KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)),
    KafkaException(KafkaError(KafkaError._FATAL, "fatal", fatal=True)),
]


@pytest.mark.parametrize("refused", range(3))
@pytest.mark.parametrize("refusal", REFUSALS)
def test_results_of_one_list_keep_their_order_when_the_client_does_not_take_one_of_them(
    desk: Desk, refused: int, refusal: Exception
) -> None:
    outcomes = Outcomes(desk)
    desk.refuse(refused, refusal)

    outcomes.send(desk, *(Send("a", number) for number in range(3)))
    at_first = len(desk.letters)
    while len(desk.letters) < 3:
        desk.now += RESEND_SECONDS
        desk.outbox.serve()
        desk.answer()
    desk.answer()

    assert (at_first, [letter["value"] for letter in desk.letters]) == (refused, [b"0", b"1", b"2"])
    assert (outcomes.done, outcomes.failed, desk.outbox.unstored["result", TOPIC]) == ([7], [], 0)


def test_results_of_one_list_keep_their_order_when_they_are_sent_again_and_there_is_no_room(desk: Desk) -> None:
    outcomes = Outcomes(desk)
    outcomes.send(desk, Send("a", 0), Send("a", 1))
    desk.answer(MISSING)
    desk.now += RESEND_SECONDS
    desk.refuse(0, BufferError())
    desk.outbox.serve()
    desk.now += ROOM_SECONDS
    desk.outbox.serve()
    desk.answer()

    assert [letter["value"] for letter in desk.letters[2:]] == [b"0", b"1"]
    assert outcomes.done == [7]


@pytest.mark.parametrize(
    "refusal",
    [
        TypeError("odd"), ValueError("odd"), SystemError("odd"), OverflowError("odd"),
        KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)),
    ],
)  # fmt: skip
def test_what_the_client_can_not_take_as_it_is_is_a_failed_attempt_of_its_task(desk: Desk, refusal: Exception) -> None:
    outcomes = Outcomes(desk)
    desk.refuse(1, refusal)

    outcomes.send(desk, *(Send("a", number) for number in range(3)))
    desk.answer()

    (raised,) = outcomes.failed
    assert isinstance(raised, Raised)
    assert (raised.task[0], str(raised.error)) == (7, str(refusal))
    assert [letter["value"] for letter in desk.letters] == [b"0"]
    assert (outcomes.done, desk.partition.flow.held, desk.outbox.in_transit) == ([], "", 0)


def test_of_a_batch_it_is_nobodys_yet_and_each_is_called_alone(desk: Desk) -> None:
    outcomes = Outcomes(desk)
    desk.refuse(0, ValueError("odd"))

    outcomes.send(desk, Send("a", 1), offsets=(7, 8))

    (batch,) = outcomes.failed
    assert isinstance(batch, BatchFailed)
    assert [task[0] for task in batch.tasks] == [7, 8]
