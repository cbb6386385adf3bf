"""The whole way of a message, from a terminal to its end, with the programs that an operator would use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.kafka import console_producer
from tests.support.messages import messages

if TYPE_CHECKING:
    from tests.support.scene import Scene

pytestmark = pytest.mark.processes

# Without keys the console producer would send all lines it gets in one go to a single partition.
KEYED = ("--property", "parse.key=true", "--property", "key.separator=:")
PROCESSES = 8
STOP_SECONDS = 40.0


def test_messages_typed_into_kafkas_console_producer_are_done_once_each_by_eight_processes(scene: Scene) -> None:
    running = scene.ready_service(processes=PROCESSES)
    children = set(running.children().values())
    scene.sent += messages(400, keys=100)

    typed = [f"{each.key}:{json.dumps(each.payload)}" for each in scene.sent]
    console_producer(scene.admin.bootstrap, scene.topic, typed, *KEYED)
    scene.wait_done()
    running.terminate()

    assert running.wait(STOP_SECONDS) == 0
    assert scene.admin.lag(scene.group, scene.topic) == 0
    scene.assert_each_ran_once()
    assert len(children) == PROCESSES
    assert {entry.pid for entry in scene.ledger.of("end")} == children
