"""Records that the client has thrown away, because their transaction came to nothing before they were sent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable, List, Optional, Tuple

import pytest
from confluent_kafka import KafkaError, KafkaException

from kafka_worker.kafka.outgoing.record import OutgoingRecord
from kafka_worker.kafka.outgoing.transactor import Job, Parcel, Transactor
from kafka_worker.partitions.assignment import Partition
from tests.unit.fakes import Message

PURGED = KafkaError(KafkaError._PURGE_QUEUE)
EXPIRED = KafkaError(KafkaError.INVALID_PRODUCER_ID_MAPPING, "idle for a week", txn_requires_abort=True)
TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
DENIED = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "no right", txn_requires_abort=True)


class Client:
    """Throws away all that is produced, and says why when it gets offsets."""

    def __init__(self, why: Optional[KafkaError]) -> None:
        self._why = why
        self.calls: List[str] = []

    def produce(self, *_: Any, on_delivery: Callable[..., Any], **_named: Any) -> None:
        on_delivery(PURGED, None)

    def send_offsets_to_transaction(self, *_: Any) -> None:
        if self._why is not None:
            raise KafkaException(self._why)

    def list_topics(self, topic: str, _timeout: float) -> Any:
        led = {0: SimpleNamespace(leader=1)}
        return SimpleNamespace(topics={topic: SimpleNamespace(error=None, partitions=led)})

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *_, **__: self.calls.append(name) or 0  # type: ignore[func-returns-value]


def attempted(client: Any, parcels: int = 1) -> Tuple[Optional[KafkaError], List[Parcel]]:
    """What is said of a transaction, with its parcels."""
    partition, made = Partition("topic", 0), []
    for offset in range(parcels):
        task = (offset, partition.tracker.take(offset)[0], Message(offset), None, 1, partition)
        made.append(Parcel("result", [task], [OutgoingRecord("out", None, b"%d" % offset, [])], lambda _: None))
    error = Transactor({}, lambda *_, **__: client).attempt(Job(made, [("topic", 0, parcels, "")], "member"))
    return error, made


def attempt(why: Optional[KafkaError], parcels: int = 1) -> Tuple[str, List[Any], List[str]]:
    """What is said of the transaction, of each of its parcels, and what the client was asked to do."""
    client = Client(why)
    error, made = attempted(client, parcels)
    assert error is not None
    told = [parcel.problem and (parcel.problem.name(), parcel.problem.str()) for parcel in made]
    return error.name(), told, client.calls


class Choosy(Client):
    """Does not take the third record, and throws the others away when their transaction is given up."""

    def __init__(self) -> None:
        super().__init__(None)
        self._taken: List[Callable[..., Any]] = []

    def produce(self, *_: Any, on_delivery: Callable[..., Any], **named: Any) -> None:
        if named["value"] == b"2":
            raise KafkaException(TOO_LARGE)
        self._taken.append(on_delivery)

    def abort_transaction(self, *_: Any) -> None:
        for answered in self._taken:
            answered(PURGED, None)


@pytest.mark.parametrize(("why", "blamed"), [(EXPIRED, None), (DENIED, DENIED), (None, None)])
def test_a_record_that_was_thrown_away_is_to_blame_only_where_brokers_refuse_its_topic_and_never_lost(
    why: Optional[KafkaError], blamed: Optional[KafkaError]
) -> None:
    error, told, calls = attempt(why)

    assert error == (why or PURGED).name()
    assert told == [blamed and (blamed.name(), blamed.str())]
    assert "abort_transaction" in calls
    assert "commit_transaction" not in calls


def test_of_several_that_were_thrown_away_together_each_is_in_doubt() -> None:
    """What is said of a topic would be believed of all of them."""
    assert attempt(DENIED, parcels=2)[1] == [("_PURGE_QUEUE", "no right")] * 2


def test_what_is_thrown_away_because_the_client_does_not_take_another_is_not_in_doubt() -> None:
    error, parcels = attempted(Choosy(), parcels=4)

    assert error == TOO_LARGE
    assert [(parcel.problem, parcel.at_once) for parcel in parcels] == [
        (None, False),
        (None, False),
        (TOO_LARGE, True),
        (None, False),
    ]
