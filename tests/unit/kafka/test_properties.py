from __future__ import annotations

from typing import Any, Dict

import pytest
from confluent_kafka import Producer

from kafka_worker.kafka.consumer import create_consumer
from kafka_worker.kafka.properties import consumer_properties, member_name, producer_properties
from kafka_worker.shared.settings import Settings
from tests.unit.fakes import some_settings


def given(**changes: Any) -> Settings:
    return some_settings(bootstrap_servers="a:1", group_id="g", **changes)


def test_what_the_user_set_wins_over_our_defaults() -> None:
    settings = given(
        client_properties={"socket.keepalive.enable": "false"},
        consumer_properties={"session.timeout.ms": "6000"},
        producer_properties={"compression.type": "none"},
    )

    consumer, producer = consumer_properties(settings, "host-0"), producer_properties(settings, "host-0")

    assert (consumer["socket.keepalive.enable"], consumer["session.timeout.ms"]) == ("false", "6000")
    assert (producer["socket.keepalive.enable"], producer["compression.type"]) == ("false", "none")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bootstrap.servers", "a:1"),
        ("group.id", "g"),
        ("client.id", "host-0"),
        ("enable.auto.commit", False),
        ("enable.auto.offset.store", False),
        ("enable.partition.eof", True),
    ],
)
def test_what_the_promise_rests_on_is_ours_whatever_the_user_set(name: str, value: Any) -> None:
    settings = given(client_properties={name: "theirs"}, consumer_properties={name: "theirs"})

    assert consumer_properties(settings, "host-0")[name] == value


@pytest.mark.parametrize(
    "sizes", [{"message.max.bytes": "10000000"}, {"fetch.max.bytes": "50000"}, {"fetch.max.bytes": "9000000"}]
)
def test_the_client_takes_whatever_size_of_messages_or_fetches_the_user_set(sizes: Dict[str, str]) -> None:
    properties = consumer_properties(given(client_properties=sizes), "host-0")

    create_consumer(properties).close()

    assert sizes.items() <= properties.items()


def test_dead_letters_are_acknowledged_by_all_replicas_whatever_the_user_set() -> None:
    theirs = {"acks": "0", "enable.idempotence": "false", "client.id": "theirs"}

    properties = producer_properties(given(producer_properties=theirs), "host-0")

    assert (properties["acks"], properties["enable.idempotence"], properties["client.id"]) == ("all", True, "host-0")


@pytest.mark.parametrize(
    ("own", "seconds"),
    [({}, "30000"), ({"transaction.timeout.ms": "10000"}, "10000"), ({"transaction.timeout.ms": "90000"}, "30000")],
)
def test_no_message_has_more_time_than_its_transaction_as_the_client_would_refuse_it(
    own: Dict[str, str], seconds: str
) -> None:
    properties = producer_properties(given(producer_properties=own, delivery="exactly-once"), "host-0")

    assert str(properties["message.timeout.ms"]) == seconds
    Producer({**properties, "bootstrap.servers": "127.0.0.1:1", "log_level": 0})


@pytest.mark.parametrize(
    ("session", "own", "milliseconds"),
    [
        (10_000, {}, 60_000),
        (120_000, {}, 120_000),
        (1_800_000, {}, 900_000),
        (120_000, {"transaction.timeout.ms": "70000"}, 70_000),
    ],
)
def test_a_transaction_lasts_as_long_as_a_session_so_that_who_is_refused_for_its_end_has_lost_his_seat_too(
    session: int, own: Dict[str, str], milliseconds: int
) -> None:
    consumer = {"session.timeout.ms": str(session)}
    settings = given(consumer_properties=consumer, producer_properties=own, delivery="exactly-once")

    assert int(producer_properties(settings, "host-0")["transaction.timeout.ms"]) == milliseconds
    assert "transaction.timeout.ms" not in producer_properties(given(consumer_properties=consumer), "host-0")


def test_no_two_groups_share_a_transactional_id_however_their_names_and_those_of_hosts_are_cut() -> None:
    pairs = [("a", "b.c"), ("a.b", "c"), ("a", "b%2Ec"), ("a.b%2E", "c"), ("a.", "b.c"), ("a", ".b.c")]
    ids = [
        producer_properties(some_settings(group_id=group, delivery="exactly-once"), member_name(host, 0))["transactional.id"]
        for group, host in pairs
    ]

    assert len(set(ids)) == len(pairs)
    assert all(each.startswith(f"{group}.") for each, (group, _) in zip(ids, pairs))


def test_properties_of_one_client_do_not_reach_the_other() -> None:
    settings = given(consumer_properties={"fetch.min.bytes": "1"}, producer_properties={"linger.ms": "1"})

    assert "linger.ms" not in consumer_properties(settings, "host-0")
    assert "fetch.min.bytes" not in producer_properties(settings, "host-0")


def test_only_static_membership_has_an_instance_id() -> None:
    static: Dict[str, Any] = consumer_properties(given(membership="static"), "host-0")
    dynamic: Dict[str, Any] = consumer_properties(given(membership="dynamic"), "host-0")

    assert static["group.instance.id"] == "host-0"
    assert "group.instance.id" not in dynamic


def test_no_two_slots_or_hosts_share_a_member_name() -> None:
    names = {member_name(host, slot) for host in ("a", "b") for slot in range(3)}

    assert len(names) == 6
