"""An outbox on a producer that does what the test says."""

from __future__ import annotations

from typing import Any, Dict, List, cast

import pytest

from kafka_worker.kafka.outgoing import outbox
from kafka_worker.kafka.outgoing.outbox import Outbox
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task
from tests.unit.fakes import Message


class Producer:
    """Keeps the records; `answer` is the broker's word about all that came since."""

    def __init__(self) -> None:
        self.properties: Dict[str, Any] = {}
        self.letters: List[Dict[str, Any]] = []
        self.refusal: List[Exception] = []
        self.room = 0  # so many are taken before one is refused
        self._unanswered: List[Any] = []
        self._answers: List[Any] = []

    def produce(self, topic: str, **letter: Any) -> None:
        if self.refusal and not self.room:
            raise self.refusal.pop()
        self.room = max(0, self.room - 1)
        self.letters.append({"topic": topic, **letter})
        self._unanswered.append(letter["on_delivery"])

    def answer(self, problem: Any = None) -> None:
        self._answers += [(callback, problem) for callback in self._unanswered]
        self._unanswered = []

    def poll(self, _timeout: float) -> None:
        answers, self._answers = self._answers, []
        for callback, problem in answers:
            callback(problem, None)


class QuickProducer(Producer):
    """The broker has stored it by the next look."""

    def poll(self, timeout: float) -> None:
        self.answer()
        super().poll(timeout)


class Desk:
    """An outbox with its producers, a clock, and what was reported as stored."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.producers: List[Producer] = []
        monkeypatch.setattr(outbox, "Producer", self._made)
        self.now = 100.0
        self.stored: List[Task] = []
        self.outbox = Outbox({}, lambda: self.now)
        self.partition = Partition("topic", 0)

    def _made(self, properties: Dict[str, Any], **_: Any) -> Producer:
        self.producers.append(Producer())
        self.producers[-1].properties = properties
        return self.producers[-1]

    def refuse(self, behind: int, refusal: Exception) -> None:
        """The client refuses the record that comes after so many others."""
        producer = cast("Producer", self.outbox._usual.producer())
        producer.room, producer.refusal = behind, [refusal]

    @property
    def letters(self) -> List[Dict[str, Any]]:
        """What was given to all producers so far."""
        return [letter for producer in self.producers for letter in producer.letters]

    def task(self, offset: int = 7, attempt: int = 3, **given: Any) -> Task:
        message = Message(offset, b"key", b"value")
        vars(message).update(given)
        return offset, self.partition.tracker.take(offset)[0], message, None, attempt, self.partition

    def answer(self, problem: Any = None) -> None:
        """The broker's word about all that was sent, and the outbox has heard it."""
        self.producers[-1].answer(problem)
        self.outbox.serve()
