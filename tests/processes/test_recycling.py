"""Processes that outgrow their share of memory, or have done enough, are recycled: one at a time, and nobody notices."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Callable, Dict, List

import pytest

from tests.support.eventually import eventually
from tests.support.messages import message
from tests.support.processes import resident_bytes
from tests.support.scene import SECONDS, Scene, revocations

if TYPE_CHECKING:
    from tests.support.service import Service

pytestmark = pytest.mark.processes

LEAK, STEP = 20, 4  # megabytes a message; messages sent at once
NOISE = 15_000_000  # bytes that a process uses for other things than what its handler keeps
BUSY = re.compile(r", busy ([5-9]\d|100)%")  # nearly all on a quiet machine


def recycled(log: str) -> List[int]:
    """The processes that were recycled, in turn. Fails when a recycling began before the one before it had ended."""
    events = re.findall(r"recycling process (\d+) \(|(Recycling): done", log)
    assert all(bool(pid) == (place % 2 == 0) for place, (pid, _) in enumerate(events)), events
    return [int(pid) for pid, _ in events if pid]


def at_rest(service: Service) -> bool:
    """Whether no process is being recycled, or wishes to be."""
    snapshot = service.status()
    return snapshot["state"] == "running" and all(slot["child"] and not slot["child"]["renew"] for slot in snapshot["slots"])


def knows_its_sizes(service: Service) -> bool:
    """Whether what it knows of each process's memory is as large as that is now."""
    return all(
        slot["child"] and slot["child"]["rss"] > resident_bytes(slot["pid"]) - NOISE for slot in service.status()["slots"]
    )


def assert_nobody_noticed(scene: Scene, service: Service, before: List[int]) -> None:
    """Each message ran once, in order, no partition moved, and no start counts as a restart. `before`: who had to give
    partitions up while the service started."""
    scene.assert_each_ran_once()
    eventually(lambda: at_rest(service), SECONDS, "the last recycling has ended")
    # Each of the old ones gave its partitions up when it closed, and nobody else did.
    assert Counter(revocations(service.log)) - Counter(before) == Counter(recycled(service.log))
    assert service.status()["restarts"] == 0
    assert all(slot["restart_reasons"].keys() == {"recycled"} for slot in service.slots())


def test_processes_whose_handler_leaks_are_recycled_before_they_are_much_too_large(
    scene: Scene, record_property: Callable[..., None]
) -> None:
    """More is sent when all are known to be as large as they are, and none is too large: how long that takes is another
    matter."""
    service = scene.ready_service(threads=1, env={"MEMORY_LIMIT": "400M"})  # 180 MiB each, recycled at 153
    before = revocations(service.log)
    largest = 0
    for step in range(6):
        scene.send([message(f"{step}-{number}", f"key-{step}-{number}", leak_mb=LEAK) for number in range(STEP)])
        scene.wait_done()
        largest = max([largest, *map(resident_bytes, service.children().values())])
        eventually(lambda: at_rest(service) and knows_its_sizes(service), SECONDS, "who is too large is recycled")
    scene.send([message(f"long-{number}", f"key-{number}", sleep_ms=1000) for number in range(4)])
    eventually(lambda: BUSY.search(service.command("status").stdout), SECONDS, "a process is told to be busy")

    record_property("most MB", largest / 1e6)
    record_property("recyclings", len(recycled(service.log)))
    assert len(recycled(service.log)) >= 2
    assert largest < 153_000_000 + STEP * LEAK * 1_000_000 + NOISE  # without recyclings 280
    told = service.command("status").stdout
    assert re.search(r"replaced: slot \d: \d recycled \(the last: RSS \d+ MB above", told), told
    assert_nobody_noticed(scene, service, before)


def test_processes_are_recycled_after_about_so_many_messages(scene: Scene, record_property: Callable[..., None]) -> None:
    service = scene.ready_service(threads=1, env={"RECYCLE_MESSAGES": "60"})
    before = revocations(service.log)
    scene.send([message(f"{number}", f"key-{number}", sleep_ms=15) for number in range(300)])
    scene.wait_done()
    eventually(lambda: len(recycled(service.log)) >= 2, SECONDS, "both processes are recycled")

    done: Dict[int, int] = Counter(entry.pid for entry in scene.ledger.of("end"))
    counts = [done[pid] for pid in recycled(service.log)]
    record_property("messages", str(counts))
    assert min(counts) >= 54
    assert_nobody_noticed(scene, service, before)
    eventually(lambda: not service.status()["problems"], SECONDS, "the service is healthy")
