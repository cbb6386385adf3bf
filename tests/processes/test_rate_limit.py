"""MAX_MESSAGES_PER_SECOND holds over all processes of a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

import pytest

from kafka_worker.gates.rate_limit import BURST_SECONDS
from tests.support.messages import between, messages
from tests.support.scene import Scene

if TYPE_CHECKING:
    from tests.support.ledger import Entry

pytestmark = pytest.mark.processes

RATE, COUNT = 200.0, 800
UNEVEN_SECONDS = 1.0  # at the beginning: until the second process has its share, and the burst
BURST = RATE * BURST_SECONDS  # when a process is held up, it may catch up with so many: before, in, or behind what is measured


def test_two_processes_start_as_many_messages_a_second_as_they_may(
    scene: Scene, record_property: Callable[[str, object], None]
) -> None:
    running = scene.ready_service(processes=2, env={"MAX_MESSAGES_PER_SECOND": str(RATE)})
    scene.send(messages(COUNT, keys=400, sleep_ms=between(0, 2)))
    scene.wait_done()

    starts = scene.ledger.of("start")
    steady = [entry for entry in starts if starts[0].at + UNEVEN_SECONDS <= entry.at <= _first_end(starts)]
    wanted = RATE * (steady[-1].at - steady[0].at)
    record_property("messages a second", RATE * len(steady) / wanted)
    assert 0.95 * wanted - BURST <= len(steady) <= 1.05 * wanted + BURST
    assert wanted > 4 * BURST
    assert len({entry.pid for entry in starts}) == 2
    assert scene.oracle.started_twice() == []
    assert scene.oracle.order_violations_per_key() == []
    running.terminate()
    assert running.wait(30.0) == 0


def _first_end(starts: list[Entry]) -> float:
    """When the first of the processes runs out of work."""
    return min(max(entry.at for entry in starts if entry.pid == pid) for pid in {entry.pid for entry in starts})
