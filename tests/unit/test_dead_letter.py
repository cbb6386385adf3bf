"""On a producer that does what the test says."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
from confluent_kafka import KafkaError, KafkaException

from tests.unit.fakes import Message
from worker import dead_letter
from worker.assignment import Partition
from worker.dead_letter import RESEND_SECONDS, DeadLetters
from worker.lanes import Task


class Producer:
    """Keeps the letters; `answer` is the broker's word about all that came since."""

    def __init__(self) -> None:
        self.letters: List[Dict[str, Any]] = []
        self.refusal: List[Exception] = []
        self._unanswered: List[Any] = []
        self._answers: List[Any] = []

    def produce(self, topic: str, **letter: Any) -> None:
        if self.refusal:
            raise self.refusal.pop()
        self.letters.append({"topic": topic, **letter})
        self._unanswered.append(letter["on_delivery"])

    def answer(self, problem: Any = None) -> None:
        self._answers += [(callback, problem) for callback in self._unanswered]
        self._unanswered = []

    def poll(self, _timeout: float) -> None:
        answers, self._answers = self._answers, []
        for callback, problem in answers:
            callback(problem, None)


class Desk:
    """Dead letters with their producer, a clock, and what was reported as stored."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.producer = Producer()
        monkeypatch.setattr(dead_letter, "Producer", lambda *_, **__: self.producer)
        self.now = 100.0
        self.stored: List[Task] = []
        self.letters = DeadLetters({}, ".dlq", "group", self.stored.append, lambda: self.now)
        self.partition = Partition("topic", 0)

    def task(self, **given: Any) -> Task:
        message = Message(7, b"key", b"value")
        vars(message).update(given)
        return 7, self.partition.tracker.take(7)[0], message, None, 3


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def test_a_letter_has_the_bytes_key_headers_and_time_of_its_message_and_says_why(desk: Desk) -> None:
    desk.letters.send(desk.task(given_headers=[("theirs", None)]), ValueError("why"))

    (letter,) = desk.producer.letters
    assert (letter["topic"], letter["key"], letter["value"], letter["timestamp"]) == ("topic.dlq", b"key", b"value", 1500)
    assert letter["headers"] == [
        ("theirs", None),
        ("dead-letter.topic", b"topic"),
        ("dead-letter.partition", b"0"),
        ("dead-letter.offset", b"7"),
        ("dead-letter.group", b"group"),
        ("dead-letter.error", b"ValueError: why"),
        ("dead-letter.attempts", b"3"),
    ]


def test_a_letter_counts_as_stored_only_after_the_acknowledgement(desk: Desk) -> None:
    task = desk.task()
    desk.letters.send(task, ValueError())
    desk.letters.serve()
    before = (list(desk.stored), desk.letters.in_transit, desk.letters.count)

    desk.producer.answer()
    desk.letters.serve()

    assert before == ([], 1, 0)
    assert (desk.stored, desk.letters.in_transit, desk.letters.count) == ([task], 0, 1)


def test_a_letter_that_the_broker_refused_is_sent_again_until_it_is_stored(desk: Desk) -> None:
    task = desk.task()
    desk.letters.send(task, ValueError())
    desk.producer.answer(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
    desk.letters.serve()
    refused = (list(desk.stored), desk.letters.waiting, len(desk.producer.letters))

    desk.now += RESEND_SECONDS
    desk.letters.serve()
    desk.producer.answer()
    desk.letters.serve()

    assert refused == ([], 1, 1)
    assert (desk.stored, desk.letters.waiting, len(desk.producer.letters)) == ([task], 0, 2)


@pytest.mark.parametrize("refusal", [BufferError(), KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))])
def test_a_letter_that_the_client_does_not_take_is_sent_again(desk: Desk, refusal: Exception) -> None:
    desk.producer.refusal = [refusal]
    desk.letters.send(desk.task(), ValueError())
    waiting = (desk.letters.waiting, desk.letters.in_transit)

    desk.now += RESEND_SECONDS
    desk.letters.serve()

    assert waiting == (1, 0)
    assert len(desk.producer.letters) == 1


def test_nothing_is_sent_of_a_partition_that_went_away(desk: Desk) -> None:
    task = desk.task()
    desk.partition.forget()

    desk.letters.send(task, ValueError())

    assert desk.producer.letters == []
    assert desk.letters.in_transit == 0


def test_forged_headers_are_dropped_and_others_kept_in_order(desk: Desk) -> None:
    forged = [("a", b"1"), ("dead-letter.error", b"forged"), ("dead-letter.other", b"forged"), ("a", b"2")]

    desk.letters.send(desk.task(given_headers=forged), ValueError("why"))

    headers = desk.producer.letters[0]["headers"]
    assert headers[:2] == [("a", b"1"), ("a", b"2")]
    assert b"forged" not in [value for _, value in headers]


def test_a_message_with_a_header_that_the_client_cant_read_becomes_a_letter_without_it(desk: Desk) -> None:
    desk.letters.send(desk.task(broken=True), ValueError())

    names = [name for name, _ in desk.producer.letters[0]["headers"]]
    assert names[:2] == ["headers-lost", "dead-letter.topic"]


def test_an_error_whose_text_raises_goes_out_all_the_same(desk: Desk) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise LookupError

    desk.letters.send(desk.task(), MuteError())

    headers = dict(desk.producer.letters[0]["headers"])
    assert headers["dead-letter.error"] == b"MuteError: (its text raised LookupError)"


@pytest.mark.parametrize(("text", "length"), [("x" * 5000, 1012), ("\ud800", 13)])
def test_any_error_text_becomes_a_header_of_bounded_length(desk: Desk, text: str, length: int) -> None:
    desk.letters.send(desk.task(), ValueError(text))

    assert len(dict(desk.producer.letters[0]["headers"])["dead-letter.error"]) == length


def test_a_message_without_time_makes_a_letter_without_a_negative_time(desk: Desk) -> None:
    desk.letters.send(desk.task(given_timestamp=(0, -1)), ValueError())

    assert desk.producer.letters[0]["timestamp"] == 0


def test_without_a_letter_there_is_no_producer(monkeypatch: pytest.MonkeyPatch) -> None:
    made: List[int] = []
    monkeypatch.setattr(dead_letter, "Producer", lambda *_, **__: made.append(1))

    DeadLetters({}, ".dlq", "group", lambda _task: None).serve()

    assert made == []
