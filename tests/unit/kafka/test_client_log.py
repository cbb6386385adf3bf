"""What is heard of a client by its log, and what of it comes into ours."""

from __future__ import annotations

import logging
import socket
from typing import Any, Dict, List, Tuple

import pytest
from confluent_kafka import Consumer

from kafka_worker.kafka import client_log
from kafka_worker.kafka.client_log import ClientLog, NotAgain
from kafka_worker.kafka.listener import RebalanceListener
from kafka_worker.shared.ipc.snapshot import TopicPartition
from tests.support.eventually import eventually

OLD, NEW = "Nrla+okGSrWh+rTmkqV2cg", "3qgp5ojbRR2QUC4OuCPFvQ"


class Heard(RebalanceListener):
    def __init__(self, **properties: str) -> None:
        self.first: List[Tuple[str, str]] = []
        self.anew: List[Tuple[str, str]] = []
        self.outlived: List[Tuple[str, int]] = []
        self.gone: List[Tuple[Tuple[str, int], int]] = []
        self.log = ClientLog(self, lambda callback, *facts: callback(*facts))
        self.properties: Dict[str, Any] = self.log.added(properties)

    def on_topic(self, topic: str, topic_id: str) -> None:
        self.first.append((topic, topic_id))

    def on_made_anew(self, topic: str, topic_id: str) -> None:
        self.anew.append((topic, topic_id))

    def on_outlived(self, name: TopicPartition) -> None:
        self.outlived.append(name)

    def on_gone(self, name: TopicPartition, offset: int) -> None:
        self.gone.append((name, offset))

    def says(self, text: str, facility: str = "METADATA") -> None:
        self.log.log(logging.DEBUG, "%s [%s] %s", facility, "host-0", f"[thrd:main]: {text}")

    def topic_is(self, topic_id: str, epoch: int, former: str = "A" * 22) -> None:
        """As a client says it that is told so by a broker."""
        if former != topic_id:
            self.says(f"Topic orders.new changed id from {former} to {topic_id}")
        self.says(f"Topic orders.new [3] Leader 1 Epoch {epoch}")
        self.says(f"Topic other [3] Leader -1 Epoch {epoch}")


def test_a_client_tells_by_its_log_that_a_topic_is_another_one_and_that_it_takes_its_leader_for_a_former_one() -> None:
    heard = Heard()
    heard.topic_is(OLD, 2)
    heard.topic_is(OLD, 1, OLD)  # by a broker that is behind
    assert (heard.anew, heard.outlived) == ([], [])

    heard.topic_is(NEW, 0, OLD)
    heard.topic_is(OLD, 2, NEW)  # likewise: what was there before is not made anew
    heard.topic_is(NEW, 3, OLD)

    assert (heard.first, heard.anew) == ([("orders.new", OLD)], [("orders.new", NEW)])
    assert heard.outlived == [("orders.new", 3)]


def test_a_client_tells_by_its_log_how_many_partitions_topics_have_before_any_is_assigned() -> None:
    """Of leaders it says nothing then. One that is missing has none; not so one of which the broker does not tell."""
    heard = Heard()

    heard.says("127.0.0.1:9092/1:   Topic orders.new with 3 partitions")
    heard.says("127.0.0.1:9092/1:   Topic missing with 0 partitions: Broker: Unknown topic or partition")
    heard.says("127.0.0.1:9092/1:   Topic other with 0 partitions: Broker: Topic authorization failed")
    heard.says("127.0.0.1:9092/2:   Topic orders.new with 0 partitions: Broker: Unknown topic or partition")

    assert heard.log.sizes == {"orders.new": 3, "missing": 0}


def test_a_client_tells_by_its_log_that_what_it_should_read_is_gone() -> None:
    heard = Heard()
    heard.says("orders.new [3]: offset reset (at offset 77 (leader epoch 1), broker 1) to offset BEGINNING", "OFFSET")
    heard.says("orders.new [3]: offset reset (at offset INVALID (leader epoch -1), broker 1) to offset END", "OFFSET")

    assert heard.gone == [(("orders.new", 3), 77)]


@pytest.mark.parametrize(("given", "later"), [({}, 0), ({"log.connection.close": "true"}, 1)])
def test_who_closes_the_connection_before_it_has_answered_is_told_with_what_that_may_be(
    given: Dict[str, str], later: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a port for TLS does with who does not speak it. That idle connections are closed is told to who wants it."""
    lines: List[Tuple[Any, ...]] = []
    monkeypatch.setattr(client_log.client_log, "log", lambda *words: lines.append(words))
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        consumer = Consumer(Heard(**given, **{"bootstrap.servers": address, "group.id": "group"}).properties)
        consumer.subscribe(["orders"])  # without, it may begin to connect a second later
        server.settimeout(5)
        server.accept()[0].close()
        eventually(lambda: consumer.poll(0.01) is None and lines, 5, "it has told")
        consumer.close()

    level, _, facility, _, text = lines[0]
    assert (level, facility) == (logging.WARNING, "FAIL")
    assert ": Disconnected: " in text
    assert text.endswith("Does it want another KAFKA_CLIENT_SECURITY_PROTOCOL, or is it no Kafka?")

    del lines[:]
    Heard(**given).log.log(
        logging.WARNING, "%s [%s] %s", "FAIL", "host-0", "kafka:9092/1: Disconnected (after 3ms in state UP)"
    )
    assert len(lines) == later


@pytest.mark.parametrize(("properties", "told"), [({}, 1), ({"debug": "cgrp"}, 2)])
def test_only_what_somebody_wants_to_read_comes_into_our_log(
    properties: Dict[str, str], told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: List[Any] = []
    monkeypatch.setattr(client_log.client_log, "log", lambda *words: lines.append(words))
    heard = Heard(**properties)
    heard.log.log(logging.WARNING, "%s [%s] %s", "FAIL", "host-0", "[thrd:main]: told")
    heard.says("asked for", "CGRP")

    assert len(lines) == told


def test_a_client_takes_these_properties_and_says_what_topics_it_asks_for() -> None:
    heard = Heard(debug="cgrp", **{"group.id": "a", "bootstrap.servers": "127.0.0.1:1"})
    Consumer(heard.properties).close()

    assert heard.properties["debug"] == "cgrp,metadata"


def client_line(text: str, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord("librdkafka", level, "", 0, text, (), None)


def test_the_client_tells_a_kind_of_trouble_once_in_a_while() -> None:
    now = 100.0
    once = NotAgain(lambda: now)
    refused = "FAIL [vm-0#consumer-1] [thrd:127.0.0.1:9092/bootstrap]: Connect failed: Connection refused (%d suppressed)"

    first = once.filter(client_line(refused % 1))
    again = once.filter(client_line(refused.replace("consumer-1", "consumer-2") % 2))  # the one in its place
    other = once.filter(client_line("SESSTMOUT [vm-0#consumer-1] [thrd:main]: Consumer group session timed out"))
    gone = "OFFSET [vm-0#consumer-1] [thrd:main]: orders [%d]: offset reset (at offset %d, broker 1) to offset BEGINNING"
    partitions = [once.filter(client_line(gone % place)) for place in ((0, 3), (1, 3), (0, 4))]
    now = 130.0

    assert (first, again, other) == (True, False, True)
    assert partitions == [True, True, False], "what a client tells of one partition it does not tell of the next"
    assert once.filter(client_line(refused % 3))


def test_what_the_client_says_for_debugging_is_never_left_out() -> None:
    once = NotAgain(lambda: 0.0)

    assert all(once.filter(client_line("FETCH [x] [y]: again", logging.DEBUG)) for _ in range(3))
