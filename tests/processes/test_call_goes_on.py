"""A process that was away for longer than its session, and whose call still runs when its partitions are back."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.eventually import eventually
from tests.support.messages import message
from tests.support.scene import SECONDS, Scene

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.processes

SESSION_MS = 6000  # the least that brokers take


def test_what_runs_through_the_loss_of_its_partition_runs_once_and_its_key_stays_in_order(
    scene: Scene, tmp_path: Path
) -> None:
    stay = tmp_path / "stay"
    stay.touch()
    service = scene.ready_service(processes=1, threads=2, env={"KAFKA_CONSUMER_SESSION_TIMEOUT_MS": str(SESSION_MS)})
    scene.send([message("first")])
    eventually(lambda: scene.admin.lag(scene.group, scene.topic) == 0, SECONDS, "there is a commit of this assignment")
    scene.send([message("long", sequence=1, trouble="stay", **{"while": str(stay)}), message("next", sequence=2)])
    scene.wait_running("long")

    frozen = service.children()[0]
    os.kill(frozen, signal.SIGSTOP)
    eventually(lambda: not scene.admin.members(scene.group), SECONDS, "the group has given its seat up")
    os.kill(frozen, signal.SIGCONT)
    eventually(lambda: "is not called again beside that" in service.log, SECONDS, "its partition is back, with the message")
    stay.unlink()
    scene.wait_done()

    assert [entry.id for entry in scene.ledger.of("start")] == ["first", "long", "next"]
    eventually(lambda: scene.admin.lag(scene.group, scene.topic) == 0, SECONDS, "all is committed")
    assert service.children()[0] == frozen
