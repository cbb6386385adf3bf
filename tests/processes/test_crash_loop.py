"""A process that dies of what it is given, again and again: restarted ever later, and given up in order."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, List, Set, Tuple

import psutil
import pytest

from kafka_worker.shared.ipc import control
from tests.support.eventually import eventually
from tests.support.load import keys_of_partitions
from tests.support.messages import Sent, message
from tests.support.scene import PARTITIONS, SECONDS, Scene

if TYPE_CHECKING:
    from tests.support.service import Service

pytestmark = pytest.mark.processes

LIMIT = 5  # restarts
BACKOFF_SECONDS = [0.0, 0.0, 0.1, 0.2, 0.4]  # before each of them, a quarter more or less
CPU_SECONDS = 1.0


def test_a_crash_loop_is_slowed_down_and_given_up_and_the_other_processes_drain(scene: Scene) -> None:
    # Without the journal nobody knows what killed the process, and the message kills the next one too.
    service = scene.ready_service(flags=["--restart-limit", str(LIMIT), "--journal", "off"])
    well = service.children()[1]
    scene.send(long_tasks(service, slot=1))
    eventually(lambda: len(scene.ledger.running()) == 4, SECONDS, "the other process is at work")
    supervisor = psutil.Process(service.pid)
    before = cpu_seconds(supervisor)

    scene.send([deadly(service, slot=0)])
    used, told = until_the_end(service, supervisor)
    used -= before

    assert any("4 processes died one after the other" in problem for problem in told), told
    assert service.wait(SECONDS) == 75
    assert f"More than {LIMIT} restarts" in service.log
    assert service.pids() == []
    assert len({entry.pid for entry in scene.ledger.of("start") if entry.id == "deadly"}) == LIMIT + 1
    pauses = [float(seconds) for seconds in re.findall(r"next start in ([\d.]+) s", service.log)]
    assert pauses == pytest.approx(BACKOFF_SECONDS, rel=0.3)
    deaths = [entry.at for entry in scene.ledger.of("start") if entry.id == "deadly"]
    assert all(later - earlier >= pause for earlier, later, pause in zip(deaths, deaths[1:], pauses))
    assert f"process {well} ended: exit 0 (ok)" in service.log
    assert {entry.id for entry in scene.ledger.running()} == {"deadly"}, "the other process was cut off"
    assert scene.oracle.run_twice() == []
    print(f"the supervisor used {used:.2f} s of CPU")
    assert used < CPU_SECONDS


def long_tasks(service: Service, slot: int) -> List[Sent]:
    """For each partition of the slot more work than the crash loop takes."""
    return [message(f"long-{key}-{number}", key, number, sleep_ms=700) for key in keys(service, slot) for number in range(20)]


def deadly(service: Service, slot: int) -> Sent:
    """Ends the process of the slot, whenever it is run."""
    return message("deadly", keys(service, slot)[0], trouble="exit")


def keys(service: Service, slot: int) -> List[str]:
    """One of each partition that the slot has."""
    of_partition = keys_of_partitions(PARTITIONS, 1)
    return [of_partition[number][0] for _, number in sorted(service.partitions()[slot])]


def cpu_seconds(process: psutil.Process) -> float:
    """Of the process alone, without its children."""
    times = process.cpu_times()
    return float(times.user + times.system)


def until_the_end(service: Service, process: psutil.Process) -> Tuple[float, Set[str]]:
    """What the supervisor has used when it is last seen, and all problems that it has told of."""
    seen = [0.0]
    told: Set[str] = set()

    def ended() -> bool:
        seen.append(cpu_seconds(process))
        with contextlib.suppress(control.NotRunningError):
            told.update(service.status()["problems"])
        return service.returncode is not None

    eventually(ended, SECONDS, "the supervisor gives up")
    return seen[-1], told
