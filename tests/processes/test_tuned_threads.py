"""The number of threads follows what is measured. How it decides, and what it does about overload, is shown on a model:
tests/unit/upkeep/test_concurrency.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict

import pytest

from tests.support.eventually import eventually
from tests.support.messages import message
from tests.support.scene import SECONDS, Scene

if TYPE_CHECKING:
    from tests.support.service import Service

pytestmark = pytest.mark.processes

LOWEST, HIGHEST = 2, 4


def child(service: Service) -> Dict[str, Any]:
    return dict(service.slots()[0]["child"])


def test_a_handler_that_waits_gets_more_threads_and_they_all_work(scene: Scene) -> None:
    scene.send([message(f"{number}", f"key-{number}", sleep_ms=50) for number in range(350)])
    service = scene.service(processes=1, threads=LOWEST, env={"THREADS_MAX": str(HIGHEST)}).wait_ready()
    first = child(service)["threads"]

    eventually(lambda: child(service)["threads"] == HIGHEST, SECONDS, "there are as many threads as allowed")
    eventually(lambda: len(scene.ledger.running()) == HIGHEST, SECONDS, "each has a task")

    assert first == LOWEST
    scene.assert_each_ran_once()
    assert "As many threads as THREADS_MAX allows: 4" in service.log
    assert "2 to 4 threads" in service.command("status").stdout
