"""What the doctor reads of a message."""

from __future__ import annotations

import itertools
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, List, Optional, Tuple, cast

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import ResourceType  # type: ignore[attr-defined]

from kafka_worker.ops.doctor import gathering
from kafka_worker.ops.doctor.facts import UNFRAMED, Topic
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

    client = SimpleNamespace(
        describe_topics=lambda *_, **__: ask("topics", "a", "b"),
        describe_configs=lambda resources, **__: ask("configs", *resources),
        list_offsets=lambda places, **__: ask("offsets", *places),
        describe_consumer_groups=lambda names, **__: ask("groups", *names),
        list_topics=lambda **_: SimpleNamespace(controller_id=2),
    )
    topics = {name: SimpleNamespace(partitions={}, error=None) for name in ("a", "b")}
    metadata = SimpleNamespace(topics=topics, brokers={1: SimpleNamespace(host="a", port=1)})
    monkeypatch.setattr(gathering.Examined, "_metadata", lambda _self: metadata)
    monkeypatch.setattr(gathering.Examined, "_asked_for_topics", lambda _self, _seconds: metadata if others else fail())
    monkeypatch.setattr(gathering.Examined, "committed", lambda _self, _places: {})
    monkeypatch.setattr("kafka_worker.ops.lag.group.AdminClient", lambda _properties: client)

    found = gathering.asked(some_settings(bootstrap_servers="127.0.0.1:1", topics=("a", "b")))

    assert (bool(found.away), len(asked) > 1) == (not others, others)
    assert list(found.silent) == (["1 (a:1)"] if others else [])


@pytest.mark.parametrize(
    ("copies", "there", "wanted", "shut"), [(1, 1, "2", False), (2, 1, "2", True), (3, 2, "2", False), (3, 2, "3", True)]
)
def test_a_partition_is_shut_when_fewer_copies_are_there_than_are_wanted_of_those_that_could_be(
    copies: int, there: int, wanted: str, shut: bool
) -> None:
    """As brokers of Kafka 3.9 and 4.2 do it."""
    partition = SimpleNamespace(leader=1, replicas=list(range(copies)), isrs=list(range(there)))
    metadata = SimpleNamespace(brokers={1: "a broker"}, topics={"orders": SimpleNamespace(partitions={0: partition})})

    topic, examined = (
        Topic(1, properties={"min.insync.replicas": wanted}),
        cast("gathering.Examined", SimpleNamespace(_silent=set())),
    )
    found = gathering.Examined._with_brokers(examined, topic, "orders", metadata)

    assert (list(found.shut), list(found.thin)) == ([0] if shut else [], [0] if there < copies else [])
    partition.leader = -1
    found = gathering.Examined._with_brokers(examined, topic, "orders", metadata)
    assert (list(found.shut), list(found.leaderless)) == ([], [0]), "that nobody serves it is told, and is more"


def fail() -> Any:
    raise KafkaException(KafkaError(KafkaError._TRANSPORT))


def test_one_silent_broker_is_found_once_and_waited_for_by_no_other_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broker 2: it leads a partition, and is the controller in every second answer. What it is asked is never answered."""
    waits: List[str] = []
    controllers = itertools.cycle([2, 1])

    class Client:
        controller = 2

        def list_topics(self, **_: Any) -> Any:
            self.controller = next(controllers)
            return SimpleNamespace(controller_id=self.controller)

        def describe_configs(self, resources: List[Any], **_: Any) -> Any:
            broker = resources[0].restype is ResourceType.BROKER
            return {each: self.answer(int(each.name) if broker else self.controller, {}) for each in resources}

        def describe_topics(self, *_: Any, **__: Any) -> Any:
            return {"a": self.answer(self.controller, SimpleNamespace(authorized_operations=None))}

        def list_offsets(self, places: Any, **_: Any) -> Any:
            return {each: self.answer(1 + each.partition, SimpleNamespace(offset=0, timestamp=5000)) for each in places}

        def describe_consumer_groups(self, *_: Any, **__: Any) -> Any:
            raise AssertionError("librdkafka would end the process")

        def answer(self, broker: int, told: Any) -> Future[Any]:
            found: Future[Any] = Future()
            if broker == 1:
                found.set_result(told)
            else:
                waits.append("one")
                found.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
            return found

    leaders = {number: SimpleNamespace(leader=1 + number, replicas=[1], isrs=[1]) for number in range(2)}
    topics = {"a": SimpleNamespace(partitions=leaders, error=None)}
    brokers = {number: SimpleNamespace(host="host", port=number) for number in (1, 2)}
    monkeypatch.setattr(gathering.Examined, "_asked_for_topics", lambda *_: SimpleNamespace(topics=topics, brokers=brokers))
    monkeypatch.setattr(gathering.Examined, "_asked", lambda *_: ([], KafkaError(KafkaError._TIMED_OUT)))  # what is committed
    monkeypatch.setattr("kafka_worker.ops.lag.group.AdminClient", lambda _properties: Client())

    found = gathering.asked(some_settings(bootstrap_servers="127.0.0.1:1", topics=("a",)))

    assert (waits, list(found.silent), found.away) == (["one"], ["2 (host:2)"], "")
    assert (list(found.consumed["a"].leaderless), found.consumed["a"].newest) == ([1], 5.0)
    assert found.coordinator_away
