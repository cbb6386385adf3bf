"""Exactly once through a long series of deaths on two hosts, and of zombies: frozen until others have their partitions. And
through those of the broker."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter

import pytest

from tests.support.admin import Admin
from tests.support.eventually import eventually
from tests.support.exactly import EXACTLY, HANDLER, Forwarding, kill_one
from tests.support.kafka import Cluster
from tests.support.scene import PARTITIONS, SECONDS, Scene
from tests.support.service import Service

ROUNDS, EVERY = 20, 4  # deaths, and how many of them between two zombies
HOSTS = ("one", "two")
BROKER_DEATHS = 3
#: What is said of a client that has no end of a transaction.
ENDLESS = ("The client does not come back from a call", "A transaction could not be aborted")
SESSION = {"KAFKA_CONSUMER_SESSION_TIMEOUT_MS": "6000", "KAFKA_CONSUMER_MAX_POLL_INTERVAL_MS": "6000"}


def freeze_one(scene: Scene, host: str, service: Service, chance: random.Random) -> None:
    """It wakes, perhaps in the midst of a transaction, when others have its partitions."""
    slot, child = chance.choice(sorted(service.children().items()))
    os.kill(child, signal.SIGSTOP)

    def others_have_them() -> bool:
        owners = scene.owners()
        return len(owners) == PARTITIONS and f"{host}-{slot}" not in owners.values()

    eventually(others_have_them, SECONDS, "others have the partitions of the frozen one")
    os.kill(child, signal.SIGCONT)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("membership", ["static", "dynamic"])
def test_each_result_is_seen_once_through_twenty_deaths_and_five_zombies(scene: Scene, membership: str) -> None:
    forwarding, chance = Forwarding(scene), random.Random(7)
    environment = {**EXACTLY, **SESSION, "MEMBERSHIP": membership}
    services = {host: scene.service(host, handler=HANDLER, processes=2, threads=4, env=environment) for host in HOSTS}
    for service in services.values():
        service.wait_ready()
    for number in range(ROUNDS):
        host = chance.choice(HOSTS)
        forwarding.send(forwarding.some(300, seed=number + 1))
        kill_one(services[host], chance)
        if number % EVERY == 0:
            freeze_one(scene, host, services[host], chance)
    scene.admin.wait_committed(scene.group, scene.topic, 180)
    again = Counter(entry.id for entry in scene.ledger.of("start"))
    for service in services.values():
        service.terminate()
    codes = [service.wait(SECONDS) for service in services.values()]
    print(f"{membership}: {len(again)} messages, {sum(again.values()) - len(again)} calls again")

    assert codes == [0, 0]
    assert max(again.values()) > 1
    assert forwarding.wrong() == []


@pytest.mark.timeout(600)
def test_each_result_is_seen_once_and_no_process_ends_though_the_broker_is_killed_again_and_again(
    own_scene: Scene, own_kafka: Cluster
) -> None:
    """What waits for a broker that is no more is given up: without that, all stands still from the first death on."""
    scene, forwarding = own_scene, Forwarding(own_scene)
    service = scene.ready_service(handler=HANDLER, processes=2, threads=4, env={**EXACTLY, **SESSION})
    before = service.children()
    for number in range(BROKER_DEATHS):
        forwarding.send(forwarding.some(200, seed=number + 1))
        own_kafka.node().kill()
        own_kafka.node().start()
        scene.admin = Admin(own_kafka.bootstrap)  # the client of a broker that was away waits for it in vain, too
        eventually(scene.all_committed, 2 * SECONDS, "all is dealt with, and committed")
    after, log = service.children(), service.log
    service.terminate()
    code = service.wait(SECONDS)
    endless = sum(map(log.count, ENDLESS))
    print(f"{BROKER_DEATHS} deaths of the broker, {endless} clients given up")

    assert (code, after) == (0, before)
    assert endless, "nothing stood still, so nothing was shown"
    assert forwarding.wrong() == []
