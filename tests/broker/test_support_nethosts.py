"""The tests' own network: a fault that did not happen would make every test of it pass."""

from __future__ import annotations

import time
from typing import Iterator

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support.kafka import Cluster
from tests.support.nethosts import NetHosts

DELAY = 0.2


@pytest.fixture
def net() -> Iterator[NetHosts]:
    with NetHosts("broker", "a", "b") as hosts:
        yield hosts


@pytest.fixture
def far_kafka(net: NetHosts) -> Iterator[Cluster]:
    with net["broker"].inside():
        cluster = Cluster(host=net["broker"].ip).start()
    with cluster:
        yield cluster


def client_on(net: NetHosts, name: str, cluster: Cluster) -> AdminClient:
    """Connected already: its first request was answered."""
    with net[name].inside():
        client = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
        client.list_topics(timeout=30)
    return client


def answers(client: AdminClient, timeout: float) -> bool:
    try:
        client.list_topics(timeout=timeout)
    except KafkaException:
        return False
    return True


def test_a_cut_separates_one_host_from_the_broker_until_it_heals(net: NetHosts, far_kafka: Cluster) -> None:
    a, b = client_on(net, "a", far_kafka), client_on(net, "b", far_kafka)

    net.cut("a", "broker")
    apart = answers(a, 1.0), answers(b, 10.0)
    net.heal()

    assert apart == (False, True)
    assert answers(a, 30.0)


def test_an_unplugged_host_is_back_when_it_is_plugged_in_again(net: NetHosts, far_kafka: Cluster) -> None:
    a = client_on(net, "a", far_kafka)

    net.unplug("a")
    unplugged = answers(a, 1.0)
    net.plug("a")

    assert not unplugged
    assert answers(a, 30.0)


def test_a_slow_cable_delays_each_way(net: NetHosts, far_kafka: Cluster) -> None:
    net.slow("a", delay=DELAY)
    a = client_on(net, "a", far_kafka)

    began = time.monotonic()
    assert answers(a, 30.0)

    assert time.monotonic() - began >= 2 * DELAY
