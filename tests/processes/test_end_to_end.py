"""The whole way of a message, from a terminal to its end, with the programs that an operator would use."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.kafka import console_producer
from tests.support.kafka_jars import ROOT
from tests.support.messages import messages
from tests.support.other_pythons import environment, interpreters

if TYPE_CHECKING:
    from tests.support.scene import Scene

pytestmark = pytest.mark.processes

# Without keys the console producer would send all lines it gets in one go to a single partition.
KEYED = ("--property", "parse.key=true", "--property", "key.separator=:")
#: Which of the Pythons here, and how many processes of it.
PYTHONS = {"this": 8, "oldest": 2, "newest": 2}
STOP_SECONDS = 40.0


@pytest.mark.parametrize("python", PYTHONS)
def test_messages_typed_into_kafkas_console_producer_are_done_once_each_by_all_processes(scene: Scene, python: str) -> None:
    processes = PYTHONS[python]
    running = scene.ready_service(processes=processes, program=[interpreter(python), str(ROOT / "supervisor.py")])
    children = set(running.children().values())
    scene.sent += messages(400, keys=100)

    typed = [f"{each.key}:{json.dumps(each.payload)}" for each in scene.sent]
    console_producer(scene.admin.bootstrap, scene.topic, typed, *KEYED)
    scene.wait_done()
    running.terminate()

    assert running.wait(STOP_SECONDS) == 0
    assert scene.admin.lag(scene.group, scene.topic) == 0
    scene.assert_each_ran_once()
    assert len(children) == processes
    assert {entry.pid for entry in scene.ledger.of("end")} == children


def interpreter(python: str) -> str:
    """With all that the service needs."""
    if python == "this":
        return sys.executable
    found = interpreters()
    version = min(found) if python == "oldest" else max(found)
    return sys.executable if version == sys.version_info[:2] else environment(version, found[version])
