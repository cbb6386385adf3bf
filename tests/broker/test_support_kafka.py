"""The tests' own Kafka: what the other tests take for granted of it."""

from __future__ import annotations

import time
from typing import Any, Callable, List

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support.admin import Admin
from tests.support.eventually import eventually
from tests.support.kafka import Cluster, console_producer

COME_BACK_SECONDS = 40.0  # 4.6 measured on an idle machine, 9 with both cores busy


def values(admin: Admin, topic: str) -> List[Any]:
    return [record.value for record in admin.records(topic)]


def test_a_killed_broker_comes_back_with_its_data(own_kafka: Cluster, record_property: Callable[..., None]) -> None:
    admin = Admin(own_kafka.bootstrap)
    topic = admin.create_topic(partitions=3)
    places = admin.produce(topic, [(b"key", b"%d" % number, [("number", b"x")]) for number in range(100)])

    own_kafka.node().kill()
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": own_kafka.bootstrap, "log_level": 0}).list_topics(timeout=0.5)
    seconds = own_kafka.node().start()
    record_property("seconds until it answers after kill -9", seconds)

    records = admin.records(topic)
    assert [(record.partition, record.offset) for record in records] == sorted(places)
    assert {b"%d" % number for number in range(100)} == {record.value for record in records}
    assert {("key", "number")} == {(record.key.decode(), record.headers[0][0]) for record in records if record.key}
    assert seconds < COME_BACK_SECONDS


def test_a_frozen_broker_answers_nothing_until_it_is_thawed(own_kafka: Cluster) -> None:
    client = AdminClient({"bootstrap.servers": own_kafka.bootstrap, "log_level": 0})
    assert client.list_topics(timeout=30).brokers

    own_kafka.node().freeze()
    with pytest.raises(KafkaException):
        client.list_topics(timeout=0.5)
    own_kafka.node().thaw()

    assert client.list_topics(timeout=30).brokers


def test_a_broker_that_was_stopped_in_order_comes_back_on_the_same_address(own_kafka: Cluster) -> None:
    admin = Admin(own_kafka.bootstrap)
    topic = admin.create_topic(partitions=1)
    admin.produce(topic, [(None, b"kept", None)])

    own_kafka.node().stop()
    own_kafka.node().start()

    assert values(admin, topic) == [b"kept"]


def test_lines_of_the_console_producer_arrive_in_their_order(admin: Admin, topic: Callable[..., str]) -> None:
    name = topic(partitions=1)

    console_producer(admin.bootstrap, name, [f'{{"number": {number}}}' for number in range(5)])

    assert values(admin, name) == [b'{"number": %d}' % number for number in range(5)]


def test_members_and_commits_of_a_group_can_be_seen(admin: Admin, topic: Callable[..., str], group: str) -> None:
    from confluent_kafka import Consumer

    name = topic(partitions=2)
    admin.produce(name, [(b"a", b"1", None), (b"b", b"2", None), (b"c", b"3", None)])
    consumer = Consumer(
        {
            "bootstrap.servers": admin.bootstrap,
            "group.id": group,
            "group.instance.id": "seat-1",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    try:
        consumer.subscribe([name])
        deadline = time.monotonic() + 30
        seen = 0
        while seen < 3 and time.monotonic() < deadline:
            seen += consumer.poll(0.5) is not None
        consumer.commit(asynchronous=False)
        eventually(lambda: admin.members(group)[0].partitions, 10, "the member has partitions")

        members = admin.members(group)
    finally:
        consumer.close()

    assert [member.instance_id for member in members] == ["seat-1"]
    assert members[0].partitions == ((name, 0), (name, 1))
    assert admin.end_offsets(name) == {number: offset or 0 for number, offset in admin.committed(group, name).items()}
    assert admin.lag(group, name) == 0
