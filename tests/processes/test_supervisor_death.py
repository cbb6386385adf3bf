"""`kill -9` of the supervisor: its processes finish what runs and go, and whoever is started next takes over from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Set

import pytest

from tests.support.eventually import eventually
from tests.support.messages import between, message, messages
from tests.support.scene import PARTITIONS, SECONDS, Scene

if TYPE_CHECKING:
    from tests.support.service import Service

pytestmark = pytest.mark.processes

DRAIN_SECONDS = 2
GONE_SECONDS = DRAIN_SECONDS + 2
LONG = between(1500, 2500)  # milliseconds


def test_processes_without_a_supervisor_finish_what_runs_and_end_and_nothing_is_lost_or_repeated(scene: Scene) -> None:
    service = scene.ready_service()
    with scene.load():
        service.kill()
        eventually(lambda: not service.pids(), GONE_SECONDS, "the processes of a dead supervisor are gone")
        gone = service.log
        service.start().wait_ready(partitions=PARTITIONS)
        scene.wait_progress()

    assert gone.count("The supervisor is gone") == 2, gone
    scene.assert_each_ran_once()


def test_a_task_that_never_ends_keeps_no_orphan_beyond_the_drain_deadline(scene: Scene) -> None:
    service = scene.ready_service(env={"DRAIN_SECONDS": str(DRAIN_SECONDS)})
    scene.send([message(f"hangs-{number}", f"key-{number}", trouble="hang", times=1) for number in range(PARTITIONS)])
    scene.send(messages(50))
    for number in range(PARTITIONS):
        scene.wait_running(f"hangs-{number}")

    service.kill()
    eventually(lambda: not service.pids(), GONE_SECONDS, "the processes of a dead supervisor are gone")
    service.start()

    scene.wait_done()
    assert scene.oracle.order_violations_per_key() == []


def test_a_new_supervisor_can_be_started_at_once_while_the_old_processes_still_drain(scene: Scene) -> None:
    service = scene.ready_service()
    scene.send(messages(24, keys=20, sleep_ms=LONG))
    eventually(lambda: len(scene.ledger.running()) == 8, SECONDS, "every thread works")
    orphans = set(service.children().values())

    service.kill()
    service.wait(SECONDS)
    service.start()
    eventually(lambda: waiting(service, orphans), SECONDS, "new processes wait while old ones drain")

    assert orphans & set(service.pids()), "the old processes were gone too soon to show anything"
    scene.assert_each_ran_once()
    assert not orphans & set(service.pids())


def waiting(service: Service, orphans: Set[int]) -> bool:
    """Whether each slot has a new process, which is ready and keeps off until the old one has left."""
    slots = service.slots()
    stages = [slot["child"]["stage"] for slot in slots if slot["child"] and slot["pid"] not in orphans]
    return stages == ["waiting"] * 2
