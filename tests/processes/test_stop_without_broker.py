"""A stop when the broker is no help: the deadline holds all the same, and nothing is lost."""

from __future__ import annotations

from typing import Callable

import pytest

from tests.support.eventually import eventually
from tests.support.kafka import Cluster
from tests.support.kafka_node import Node
from tests.support.messages import messages
from tests.support.scene import SECONDS, Scene

pytestmark = pytest.mark.processes

DRAIN_SECONDS = 2.0
CUT_SECONDS = 3.0  # beyond the drain deadline, until everything has ended

Act = Callable[[Node], object]


@pytest.mark.parametrize(("away", "back"), [(Node.kill, Node.start), (Node.freeze, Node.thaw)], ids=["killed", "frozen"])
def test_a_stop_without_a_broker_keeps_its_deadline_and_loses_nothing(
    own_scene: Scene, own_kafka: Cluster, away: Act, back: Act
) -> None:
    scene = own_scene
    first = scene.ready_service(env={"DRAIN_SECONDS": str(DRAIN_SECONDS)})
    scene.send(messages(800, keys=64))
    scene.wait_progress()
    away(own_kafka.node())

    first.terminate()
    code = first.wait(DRAIN_SECONDS + CUT_SECONDS)

    assert code == 75
    assert "The last commit was not acknowledged" in first.log
    assert "Traceback" not in first.log
    back(own_kafka.node())
    scene.service()
    scene.wait_done()


@pytest.mark.parametrize("away", [Node.kill, Node.freeze], ids=["killed", "frozen"])
def test_a_stop_without_a_broker_is_in_order_when_nothing_was_owed(own_scene: Scene, own_kafka: Cluster, away: Act) -> None:
    scene = own_scene
    service = scene.ready_service(env={"DRAIN_SECONDS": str(DRAIN_SECONDS)})
    scene.send(messages(100, keys=64))
    eventually(lambda: scene.admin.lag(scene.group, scene.topic) == 0, SECONDS, "everything is done and committed")
    away(own_kafka.node())

    service.terminate()
    code = service.wait(DRAIN_SECONDS + CUT_SECONDS)

    assert code == 0
    assert "Traceback" not in service.log
