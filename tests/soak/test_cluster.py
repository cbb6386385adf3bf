"""A cluster of three brokers that never comes to rest: now one is killed, now another is stopped or does not answer, and the
leaders go back to where they were; meanwhile processes of two hosts die, or stand still for longer than their session."""

from __future__ import annotations

import os
import random
import signal
import threading
from pathlib import Path
from typing import Callable, Dict, Iterator, List

import pytest

from tests.support.admin import Admin
from tests.support.eventually import eventually
from tests.support.exactly import EXACTLY, HANDLER, Forwarding, kill_one
from tests.support.kafka import Cluster
from tests.support.messages import between
from tests.support.scene import PARTITIONS, SECONDS, Scene
from tests.support.service import Service

PAIR = ("one", "two")
SESSION = {"KAFKA_CONSUMER_SESSION_TIMEOUT_MS": "6000"}
SOME = 250  # messages, before each fault: those of a few seconds
AWAY_SECONDS = 5.0  # longer than a broker's session, so that others lead what it had
STILL_SECONDS = 8.0  # of a process: longer than its own
PREFERRED = {"leader.imbalance.check.interval.seconds": "5", "leader.imbalance.per.broker.percentage": "0"}
HEARD_SECONDS = 30.0  # of the 60 of a session


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    """Each has a copy of all, and two must have what is stored."""
    with Cluster(brokers=3, properties=PREFERRED) as cluster:
        yield cluster


class Faults:
    """One after the other. Each is over when its method returns."""

    def __init__(self, three: Cluster, services: Dict[str, Service], chance: random.Random) -> None:
        self._three, self._services, self._chance = three, services, chance
        self.kinds: List[Callable[[], None]] = [
            self.a_broker_is_killed, self.a_broker_is_stopped, self.a_broker_is_silent, self.a_process_is_killed,
            self.a_process_stands_still, self.a_host_rolls, self.a_supervisor_is_killed,
        ]  # fmt: skip

    def a_broker_is_killed(self) -> None:
        node = self._three.node(self._chance.choice((1, 2, 3)))
        node.kill()
        self.a_process_is_killed()
        self._for(self._chance.choice((0.0, AWAY_SECONDS)))
        node.start()

    def a_broker_is_stopped(self) -> None:
        node = self._three.node(self._chance.choice((1, 2, 3)))
        node.stop()
        node.start()

    def a_broker_is_silent(self) -> None:
        node = self._three.node(self._chance.choice((1, 2, 3)))
        node.freeze()
        self.a_process_is_killed()
        self._for(AWAY_SECONDS)
        node.thaw()

    def a_process_is_killed(self) -> None:
        kill_one(self._service(), self._chance)

    def a_process_stands_still(self) -> None:
        child = self._chance.choice(sorted(self._service().children().values()))
        os.kill(child, signal.SIGSTOP)
        self._for(STILL_SECONDS)
        os.kill(child, signal.SIGCONT)

    def a_host_rolls(self) -> None:
        self._service().roll(SECONDS)

    def a_supervisor_is_killed(self) -> None:
        service = self._service()
        service.kill()
        service.wait(SECONDS)
        service.start()

    def _service(self) -> Service:
        service = self._services[self._chance.choice(PAIR)]
        eventually(service.children, SECONDS, "it has processes")
        return service

    @staticmethod
    def _for(seconds: float) -> None:
        threading.Event().wait(seconds)


def scene_on(three: Cluster, group: str, folder: Path, service: Callable[..., Service]) -> Scene:
    admin = Admin(three.bootstrap)
    return Scene(admin, admin.create_topic(partitions=PARTITIONS), group, folder, service)


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "env", [{}, {"MEMBERSHIP": "dynamic"}, EXACTLY], ids=["at least once", "dynamic members", "exactly once"]
)
def test_faults_of_brokers_and_processes_lose_nothing_and_all_is_well_soon_after(
    three: Cluster, group: str, tmp_path: Path, service: Callable[..., Service], env: Dict[str, str]
) -> None:
    scene, chance = scene_on(three, group, tmp_path, service), random.Random(str(env))  # each in another order
    forwarding = Forwarding(scene)
    services = {host: scene.service(host, handler=HANDLER, processes=2, threads=4, env={**SESSION, **env}) for host in PAIR}
    for each in services.values():
        each.wait_ready()
    faults = Faults(three, services, chance)
    for seed, fault in enumerate(chance.sample(faults.kinds, len(faults.kinds))):
        scene.send(forwarding.some(SOME, seed=seed, sleep_ms=between(0, 200)))
        fault()
    eventually(lambda: scene.all_committed() and well(services), SECONDS, "all is committed, and well")
    for each in services.values():
        each.terminate()
    codes = [each.wait(SECONDS) for each in services.values()]
    print(f"{len(scene.sent)} messages, {len(scene.oracle.run_twice())} ran twice")

    assert codes == [0, 0]
    if env is EXACTLY:
        assert forwarding.wrong() == []
    else:
        assert forwarding.lost() == []
        assert scene.oracle.order_violations_per_key() == []


def well(services: Dict[str, Service]) -> bool:
    return all(each.slots() and not each.status()["problems"] for each in services.values())


def test_who_leaves_while_its_coordinator_is_no_more_is_heard_by_the_next_one(
    three: Cluster, group: str, tmp_path: Path, service: Callable[..., Service]
) -> None:
    """Nobody has to wait for its session."""
    scene = scene_on(three, group, tmp_path, service)
    services = {host: scene.service(host, processes=1) for host in PAIR}
    eventually(lambda: sorted(scene.owners().values()).count("one-0") == PARTITIONS / 2, SECONDS, "both have their share")

    three.node(scene.admin.coordinator(group)).kill()
    services["one"].terminate()

    eventually(lambda: len(services["two"].partitions()[0]) == PARTITIONS, HEARD_SECONDS, "the other has all partitions")
    three.mend()
