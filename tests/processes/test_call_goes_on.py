"""A process that was away for longer than its session, and whose call still runs when its partitions are back."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Dict

import pytest

from tests.support.eventually import eventually
from tests.support.messages import message
from tests.support.scene import SECONDS, Scene

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.processes

SESSION_MS = 6000  # the least that brokers take


@pytest.mark.parametrize(
    ("handler", "env"),
    [("work", {}), ("forward", {}), ("forward", {"DELIVERY": "exactly-once"})],
    ids=["it sends nothing", "it sends", "it sends exactly once"],
)
def test_what_runs_through_the_loss_of_its_partition_runs_once_and_its_key_stays_in_order(
    scene: Scene, tmp_path: Path, handler: str, env: Dict[str, str]
) -> None:
    to = scene.admin.create_topic(scene.topic + ".results", partitions=1)
    stay = tmp_path / "stay"
    stay.touch()
    service = scene.ready_service(
        processes=1, threads=2, handler="tests.support.handlers:" + handler,
        env={"KAFKA_CONSUMER_SESSION_TIMEOUT_MS": str(SESSION_MS), **env},
    )  # fmt: skip
    scene.send([message("first", to=to)])
    eventually(lambda: scene.admin.lag(scene.group, scene.topic) == 0, SECONDS, "there is a commit of this assignment")
    stays = {"trouble": "stay", "while": str(stay), "to": to}
    scene.send([message("long", sequence=1, **stays), message("next", sequence=2, to=to)])
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
    sent = [json.loads(record.value or b"{}")["id"] for record in scene.admin.records(to)]
    assert sent == (["first", "long", "next"] if handler == "forward" else [])
