"""What a client of the commands makes of a cluster's silence."""

from __future__ import annotations

from typing import Any, List

import pytest
from confluent_kafka import KafkaError, KafkaException

from kafka_worker.ops.connection import (
    ANSWER_SECONDS,
    FIRST_SECONDS,
    NO_BROKER,
    NOT_ALL,
    Connection,
    NoBrokerError,
    PropertyError,
    exit_code_of,
)
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


def test_that_it_was_interrupted_is_not_told_as_something_that_could_not_be_done() -> None:
    def command(_connection: Connection) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exit_code_of(some_settings(), Connection, command)


@pytest.mark.parametrize(("others", "code", "words"), [(True, NOT_ALL, "`check` says which"), (False, NO_BROKER, "No broker")])
def test_that_one_broker_of_several_does_not_answer_is_not_told_as_that_none_does(
    others: bool, code: int, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def asked_for_topics(_connection: Connection, _seconds: float) -> None:
        if not others:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    def command(connection: Connection) -> int:
        raise connection._failed("orders[3]", KafkaError(KafkaError._TIMED_OUT))

    monkeypatch.setattr(Connection, "_asked_for_topics", asked_for_topics)

    assert exit_code_of(some_settings(), Connection, command) == code
    assert words in capsys.readouterr().err
