"""A process that dies while it gives partitions up, as it does when another one joins."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Dict

import pytest

from tests.support.eventually import eventually
from tests.support.messages import keys_of, message
from tests.support.scene import PARTITIONS, SECONDS, Scene, revocations

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.processes

OWNED_SECONDS = 30.0  # less than a session, after which the group would rebalance by itself


def test_what_a_killed_process_was_giving_up_is_not_left_to_nobody(scene: Scene, tmp_path: Path) -> None:
    running = tmp_path / "running"
    running.touch()
    service = scene.ready_service(host="here", processes=1, threads=PARTITIONS)
    killed = service.children()[0]
    keys = [keys_of(partition, PARTITIONS)[0] for partition in range(PARTITIONS)]
    stay: Dict[str, Any] = {"trouble": "stay", "while": str(running)}
    scene.send([message(key, key, **stay) for key in keys])
    for key in keys:
        scene.wait_running(key)

    scene.service("other", processes=1)
    eventually(lambda: killed in revocations(service.log), SECONDS, "it is to give partitions up, and waits for what runs")
    os.kill(killed, signal.SIGKILL)
    running.unlink()

    scene.wait_owned_by(["here-0", "other-0"], OWNED_SECONDS)
    scene.wait_done()
