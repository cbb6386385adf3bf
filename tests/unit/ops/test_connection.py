"""What a client of the commands makes of a cluster's silence."""

from __future__ import annotations

from typing import Any, List

import pytest
from confluent_kafka import KafkaError, KafkaException

from kafka_worker.ops.connection import ANSWER_SECONDS, FIRST_SECONDS, Connection, NoBrokerError, PropertyError
from tests.unit.fakes import some_settings


class Silent:
    """In the place of a consumer: nobody answers it, and it has something to say of that."""

    def __init__(self, note: Any, error: int) -> None:
        self._note, self._error = note, error
        self.waited: List[float] = []

    def list_topics(self, timeout: float) -> None:
        self.waited.append(timeout)
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    def poll(self, _seconds: float) -> None:
        self._note(KafkaError(self._error))


@pytest.mark.parametrize(
    ("error", "raised", "waited"),
    [
        (KafkaError._AUTHENTICATION, PropertyError, [FIRST_SECONDS]),
        (KafkaError._TRANSPORT, NoBrokerError, [FIRST_SECONDS, ANSWER_SECONDS - FIRST_SECONDS]),
    ],
    ids=["refused", "away"],
)
def test_whom_a_broker_does_not_believe_hears_of_it_at_once_and_who_hears_nothing_waits(
    error: int, raised: type, waited: List[float]
) -> None:
    with Connection(some_settings()) as connection:
        consumer, connection._consumer = connection._consumer, Silent(connection._note, error)  # type: ignore[assignment]
        with pytest.raises(raised):
            connection.topics()

        assert connection._consumer.waited == waited  # type: ignore[attr-defined]
        connection._consumer = consumer
