from __future__ import annotations

import contextlib
import ctypes
import subprocess
from typing import Iterator, List

import pytest
from confluent_kafka import Consumer, TopicPartition

from kafka_worker import start
from kafka_worker.ops.first_run import embedded_broker
from kafka_worker.ops.first_run.embedded_broker import EmbeddedBroker, EmbeddedBrokerError, MockCluster, send
from kafka_worker.shared.system.deadline import Deadline


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with contextlib.closing(EmbeddedBroker({"wanted": 8, "other": 1})) as running:
        yield running


@contextlib.contextmanager
def member(broker: EmbeddedBroker) -> Iterator[Consumer]:
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "readers", "auto.offset.reset": "earliest"})
    try:
        yield consumer
    finally:
        consumer.close()


def test_topics_have_the_partitions_asked_for(broker: EmbeddedBroker) -> None:
    with member(broker) as consumer:
        topics = consumer.list_topics(timeout=10).topics

    assert {name: len(topic.partitions) for name, topic in topics.items()} == {"wanted": 8, "other": 1}


def test_messages_sent_are_read_by_another_process_where_they_are_said_to_be(broker: EmbeddedBroker) -> None:
    sent = [(str(number), b"value %d" % number) for number in range(20)]

    partitions = send(broker.address, "wanted", sent)

    with member(broker) as consumer:
        consumer.assign([TopicPartition("wanted", number, 0) for number in range(8)])
        read: List[object] = []
        deadline = Deadline(10)
        while len(read) < len(sent) and not deadline.expired():
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                read.append((message.key(), message.value(), message.partition()))
    expected = [(key.encode(), value, partition) for (key, value), partition in zip(sent, partitions)]
    assert sorted(read, key=repr) == sorted(expected, key=repr)


def test_a_group_gets_all_partitions(broker: EmbeddedBroker) -> None:
    with member(broker) as consumer:
        consumer.subscribe(["wanted"])
        deadline = Deadline(10)
        while not consumer.assignment() and not deadline.expired():
            consumer.poll(0.1)

        assert {partition.partition for partition in consumer.assignment()} == set(range(8))


def test_messages_that_nobody_acknowledges_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_broker, "SEND_SECONDS", 0.1)
    gone = EmbeddedBroker({"wanted": 1})
    gone.close()

    with pytest.raises(EmbeddedBrokerError, match="2 of 2 messages were not acknowledged"):
        send(gone.address, "wanted", [("a", b""), ("b", b"")])


def test_a_topic_that_exists_is_refused_by_name() -> None:
    with contextlib.closing(MockCluster()) as cluster:
        cluster.create_topic("wanted", 2)

        with pytest.raises(EmbeddedBrokerError, match="the topic wanted with 3 partitions"):
            cluster.create_topic("wanted", 3)


def test_a_broker_that_does_not_start_says_so_and_why(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EmbeddedBrokerError, match="its own words are above"):
        EmbeddedBroker({"wanted": 0})

    assert "refuses the topic wanted" in capfd.readouterr().err


def test_a_library_without_a_mock_cluster_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _path: object())

    with pytest.raises(EmbeddedBrokerError, match="or set KAFKA_BOOTSTRAP_SERVERS"):
        MockCluster()


def test_it_ends_with_whoever_started_it() -> None:
    command = start.command("ops.first_run.embedded_broker", "0", "wanted:1")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"127.0.0.1:")

        process.stdin.close()

        assert process.wait(10) == 0
