"""What the doctor reads of a message."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, List, Optional, Tuple

import pytest
from confluent_kafka import KafkaError, KafkaException

from kafka_worker.ops.doctor import gathering
from kafka_worker.ops.doctor.facts import UNFRAMED
from kafka_worker.ops.doctor.gathering import GUID_HEADER, _schema_of
from tests.unit.fakes import Message, some_settings


@pytest.mark.parametrize(
    ("value", "headers", "schema"),
    [
        (b"\0\0\0\1\2something", [], 258),
        (b"{}", [], UNFRAMED),
        (b"\0\0\0\1", [], UNFRAMED),
        (b"something", [(GUID_HEADER, b"\1")], None),
        (None, [], None),
    ],
)
def test_a_message_names_its_schema_in_its_first_bytes_or_in_a_header(
    value: Optional[bytes], headers: List[Tuple[str, Optional[bytes]]], schema: Optional[int]
) -> None:
    message = Message(0, value=value)
    message.given_headers = headers

    assert _schema_of(message) == schema


def test_headers_that_can_not_be_read_are_asked_for_once_and_say_nothing() -> None:
    message = Message(0, value=b"\0\0\0\1\2something")
    message.broken = True

    assert _schema_of(message) == 258
    assert not message.broken


@pytest.mark.parametrize("others", [False, True], ids=["no broker answers any more", "others answer"])
def test_behind_a_question_that_nobody_answers_none_is_asked_and_where_others_answer_they_are(
    others: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would wait for its time, one topic after the other."""
    asked: List[str] = []
    no_answer: Future[Any] = Future()
    no_answer.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))

    def ask(what: str, *named: Any) -> Any:
        asked.append(what)
        return dict.fromkeys(named, no_answer)

    silent = SimpleNamespace(
        describe_topics=lambda *_, **__: ask("topics", "a", "b"),
        describe_configs=lambda resources, **__: ask("configs", *resources),
        list_offsets=lambda places, **__: ask("offsets", *places),
        describe_consumer_groups=lambda names, **__: ask("groups", *names),
    )
    topics = {name: SimpleNamespace(partitions={}, error=None) for name in ("a", "b")}
    metadata = SimpleNamespace(topics=topics, brokers={1: "a broker"})
    monkeypatch.setattr(gathering.Examined, "_metadata", lambda _self: metadata)
    monkeypatch.setattr(gathering.Examined, "_asked_for_topics", lambda _self, _seconds: metadata if others else fail())
    monkeypatch.setattr(gathering.Examined, "committed", lambda _self, _places: {})
    monkeypatch.setattr("kafka_worker.ops.lag.group.AdminClient", lambda _properties: silent)

    found = gathering.asked(some_settings(bootstrap_servers="127.0.0.1:1", topics=("a", "b")))

    assert (bool(found.away), len(asked) > 1) == (not others, others)


def fail() -> Any:
    raise KafkaException(KafkaError(KafkaError._TRANSPORT))
