"""The number of threads follows what is measured. How it decides, and what it does about overload, is shown on models:
tests/unit/upkeep/test_concurrency.py and test_long_calls.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List

import pytest

from tests.support.eventually import eventually
from tests.support.messages import message
from tests.support.scene import SECONDS, Scene

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.ledger import Entry
    from tests.support.service import Service

pytestmark = pytest.mark.processes

LOWEST, HIGHEST = 2, 4
MOST = 32


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


def test_long_calls_have_all_threads_while_the_first_still_run_and_those_that_compute_have_few(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    name = topic(partitions=1)
    admin.produce(name, [message(f"{number}", f"key-{number}", sleep_ms=5000).row for number in range(MOST + 8)])
    options = {"processes": 1, "threads": LOWEST, "env": {"THREADS_MAX": str(MOST)}}
    waits = service(name, group, **options).start()
    computes = service(name, f"{group}-computes", handler="tests.support.handlers:computing", **options).start()

    eventually(lambda: len(waits.ledger.of("end")) >= 16, SECONDS, "sixteen are done")

    began = [entry.at for entry in waits.ledger.of("start")]
    assert began[MOST - 1] - began[0] <= 6.0
    assert waits.ledger.of("end")[15].at - began[0] <= 8.0
    assert child(waits)["threads"] == MOST
    assert len(computes.ledger.of("start")) >= LOWEST
    assert most_at_once(computes.ledger.entries()) <= 4
    assert child(computes)["threads"] <= 4


def most_at_once(entries: List[Entry]) -> int:
    """How many ran together."""
    running = most = 0
    for entry in entries:
        running += 1 if entry.event == "start" else -1
        most = max(most, running)
    return most
