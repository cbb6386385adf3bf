"""A broker that goes away for a while: the same processes wait for it, quietly, and go on."""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import Callable, Dict, List

import psutil
import pytest

from tests.support.eventually import eventually
from tests.support.kafka import Cluster
from tests.support.kafka_node import Node
from tests.support.messages import messages
from tests.support.scene import PARTITIONS, SECONDS, Scene
from tests.support.service import Service

pytestmark = pytest.mark.processes

SESSION_SECONDS = 6
SETTLE_SECONDS = 4.0  # for the tasks that the processes have, in flight and in hand, when the broker goes away
AWAY_SECONDS = SESSION_SECONDS + 1.5
RETURN_SECONDS = 10.0
MOST_CPU = 0.05  # of a core, for each process
MOST_LINES = 1.0  # a second, for each process

Act = Callable[[Node], object]


@pytest.mark.parametrize(("away", "back"), [(Node.kill, Node.start), (Node.freeze, Node.thaw)], ids=["killed", "frozen"])
def test_an_outage_longer_than_the_session_restarts_nothing_and_loses_nothing(
    own_scene: Scene, own_kafka: Cluster, away: Act, back: Act
) -> None:
    scene = own_scene
    service = scene.ready_service(
        env={"KAFKA_CONSUMER_SESSION_TIMEOUT_MS": str(1000 * SESSION_SECONDS), "MAX_IN_FLIGHT": "50"}
    )
    old = service.children()
    sent = messages(2000, keys=64)
    scene.send(sent[:1500])
    scene.wait_progress()

    away(own_kafka.node())
    costs = outage(scene, service)
    back(own_kafka.node())
    returned_at = time.monotonic()
    scene.send(sent[1500:])  # all of before may have been fetched, and done meanwhile

    eventually(
        lambda: all(scene.oracle.first_after(number, returned_at) for number in range(PARTITIONS)),
        RETURN_SECONDS,
        "work goes on in every partition",
    )
    scene.wait_done()
    assert scene.oracle.order_violations_per_key() == []
    eventually(lambda: not service.status()["problems"], SECONDS, "the service is healthy")
    assert service.children() == old
    assert max(costs["cpu"]) < MOST_CPU
    assert max(costs["lines"]) < MOST_LINES


def outage(scene: Scene, service: Service) -> Dict[str, List[float]]:
    """Wait while the broker is away. What that costs each process, a second: log lines from its beginning on, CPU from when
    the tasks are done that it still had."""
    processes = {pid: psutil.Process(pid) for pid in service.children().values()}
    lines, began = lines_of(service), time.monotonic()
    eventually(lambda: began + SETTLE_SECONDS < time.monotonic(), SECONDS, "its share of the outage is over")
    seconds_before = {pid: cpu(process) for pid, process in processes.items()}
    settled = time.monotonic()
    eventually(lambda: began + AWAY_SECONDS < time.monotonic(), SECONDS, "the outage is long enough")
    now, after = time.monotonic(), lines_of(service)
    assert max(entry.at for entry in scene.ledger.entries()) < settled  # so that only waiting was measured
    return {
        "cpu": [(cpu(process) - seconds_before[pid]) / (now - settled) for pid, process in processes.items()],
        "lines": [(after[pid] - lines[pid]) / (now - began) for pid in processes],
    }


def cpu(process: psutil.Process) -> float:
    """Seconds of CPU that it has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def lines_of(service: Service) -> Counter[int]:
    """How many lines each process has logged."""
    return Counter(int(pid) for pid in re.findall(r" slot-\d+\[(\d+)\] ", service.log))
