"""Where partitions end is asked one question at a time, and told as it was answered last."""

from __future__ import annotations

from concurrent import futures
from types import SimpleNamespace
from typing import Any, Dict, List, Tuple, cast

from confluent_kafka import IsolationLevel, KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import AdminClient

from kafka_worker.kafka.ends import AGAIN_SECONDS, End, Ends
from tests.unit.fakes import TOPIC

OURS = (TOPIC, 0)


class Client:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.asked: List[Tuple[IsolationLevel, Dict[ClientPartition, futures.Future[Any]]]] = []

    def list_offsets(self, places: Dict[ClientPartition, Any], isolation_level: IsolationLevel, **_: Any) -> Any:
        self.asked.append((isolation_level, {place: futures.Future() for place in places}))
        return self.asked[-1][1]

    def answer(self, stable: int, latest: int) -> None:
        for level, asked in self.asked[-2:]:
            for future in asked.values():
                future.set_result(SimpleNamespace(offset=stable if level == IsolationLevel.READ_COMMITTED else latest))

    def refuse(self) -> None:
        for _, asked in self.asked[-2:]:
            for future in asked.values():
                future.set_exception(KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE)))


def test_the_first_open_transaction_and_the_end_are_told_when_both_are_known() -> None:
    client = Client()
    ends = Ends(lambda: cast("AdminClient", client))

    before = [ends.of([OURS], 0.0), ends.of([OURS], 1.0)]
    client.answer(stable=5, latest=9)

    assert before == [{}, {}]
    assert ends.of([OURS], 2.0) == {OURS: End(5, 9, "")}
    assert len(client.asked) == 2, "one question at a time, and none at once again"


def test_it_is_asked_again_later_and_the_last_answer_stays_meanwhile() -> None:
    client = Client()
    ends = Ends(lambda: cast("AdminClient", client))
    ends.of([OURS], 0.0)
    client.answer(stable=9, latest=9)
    ends.of([OURS], 1.0)

    meanwhile = ends.of([OURS], 2.0 + AGAIN_SECONDS)
    client.refuse()

    assert meanwhile == {OURS: End(9, 9, "")}
    assert ends.of([OURS], 3.0 + AGAIN_SECONDS)[OURS].problem


def test_without_a_client_nothing_is_known() -> None:
    assert Ends(lambda: None).of([OURS], 0.0) == {}
