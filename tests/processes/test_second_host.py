"""Two hosts in one group. The second is the same machine under another name, which is all that the service can see."""

from __future__ import annotations

from collections import Counter
from typing import Dict

import pytest

from tests.support.eventually import eventually
from tests.support.scene import SECONDS, Scene

pytestmark = pytest.mark.processes

TAKE_OVER_SECONDS = 2.0
SESSION_SECONDS = 6
SESSION = {"KAFKA_CONSUMER_SESSION_TIMEOUT_MS": str(1000 * SESSION_SECONDS)}
MEMBERS = {"here-0": 2, "here-1": 2, "there-0": 2, "there-1": 2}


def shares(scene: Scene) -> Dict[str, int]:
    """How many partitions each member has."""
    return dict(Counter(scene.owners().values()))


def test_a_second_host_shares_the_work_evenly_and_takes_it_over_when_the_first_stops(shared: str, scene: Scene) -> None:
    first = scene.ready_service(host="here", runtime_directory=shared)
    with scene.load():
        second = scene.service("there", runtime_directory=shared)
        eventually(lambda: shares(scene) == MEMBERS, SECONDS, "each process of both hosts has two partitions")
        scene.wait_progress()

        first.terminate()
        scene.wait_owned_by(["there-0", "there-1"], TAKE_OVER_SECONDS)
        scene.wait_progress()

    assert first.wait(SECONDS) == 0
    scene.assert_each_ran_once()
    assert second.status()["problems"] == []


def test_processes_of_a_killed_supervisor_end_in_order_and_another_host_takes_over(scene: Scene) -> None:
    first = scene.ready_service(host="here", env=SESSION)
    scene.service("there", env=SESSION)
    with scene.load():
        eventually(lambda: shares(scene) == MEMBERS, SECONDS, "each process of both hosts has two partitions")
        first.kill()
        eventually(lambda: not first.pids(), SECONDS, "the processes end by themselves")
        # Their seats are kept for the supervisor that a service manager would start again.
        scene.wait_owned_by(["there-0", "there-1"], SESSION_SECONDS + TAKE_OVER_SECONDS)
        scene.wait_progress()

    assert "Traceback" not in first.log
    scene.assert_each_ran_once()
