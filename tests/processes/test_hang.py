"""Processes that live and do nothing: they are told from those that are merely busy, and replaced."""

from __future__ import annotations

import os
import re
import signal
import time
from typing import TYPE_CHECKING, Dict

import pytest

from tests.support.eventually import eventually
from tests.support.messages import message
from tests.support.scene import SECONDS, Scene, revocations

if TYPE_CHECKING:
    from tests.support.service import Service

pytestmark = pytest.mark.processes

TIMEOUT_SECONDS = 2
HEARTBEAT = {"HEARTBEAT_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS)}
# Beyond the timeout: half a second for the last heartbeat before it, 2 s until SIGABRT is followed by SIGKILL, and a start.
REPLACED_SECONDS = TIMEOUT_SECONDS + 4
QUIET_SECONDS = 1.0  # the longest that a partition of an undisturbed process may start nothing; tasks take up to 40 ms


def test_a_process_whose_handler_holds_the_interpreter_shows_its_stacks_and_is_replaced(scene: Scene) -> None:
    service = scene.ready_service(env=HEARTBEAT)
    before, log_before = service.children(), len(service.log)
    with scene.load():
        scene.send([message("holds", "holds", trouble="hold_gil", hold_gil_ms=600_000, times=1)])
        scene.wait_running("holds")
        victim = next(entry for entry in scene.ledger.of("start") if entry.id == "holds").pid
        others = check_replaced(scene, service, before, victim)

    log = service.log[log_before:]
    assert f"process {victim} hangs (no heartbeat for" in log
    assert f"process {victim} ended: killed by SIGABRT" in log
    assert re.search(r"\n  \| Fatal Python error: Aborted\n  \| (?:Current thread|Thread) 0x", log)
    assert re.search(r'File ".*handlers\.py", line \d+ in _trouble', log), "the stacks do not name the culprit"
    assert revocations(log) == []
    assert others
    scene.wait_done()
    assert scene.oracle.order_violations_per_key() == []


def test_a_process_that_was_stopped_is_replaced(scene: Scene) -> None:
    service = scene.ready_service(env=HEARTBEAT)
    before, log_before = service.children(), len(service.log)
    with scene.load():
        os.kill(before[1], signal.SIGSTOP)
        check_replaced(scene, service, before, before[1])

    assert f"process {before[1]} ended: killed by SIGKILL" in service.log
    assert revocations(service.log[log_before:]) == []
    scene.wait_done()
    assert scene.oracle.order_violations_per_key() == []


def check_replaced(scene: Scene, service: Service, before: Dict[int, int], victim: int) -> Dict[int, int]:
    """The victim's partitions go on within the bound, and those of the others as if nothing had happened; the others."""
    moment = time.monotonic()
    slot = next(number for number, pid in before.items() if pid == victim)
    partitions = {number: {partition for _, partition in owned} for number, owned in service.partitions().items()}

    def works() -> bool:
        pid = service.children().get(slot, victim)
        return pid != victim and partitions[slot] <= {e.partition for e in scene.ledger.of("start") if e.pid == pid}

    eventually(works, REPLACED_SECONDS, f"slot {slot} works again")
    others = {number: pid for number, pid in before.items() if pid != victim}
    undisturbed = set().union(*(partitions[number] for number in others))
    assert scene.oracle.gap(undisturbed, moment, time.monotonic()) < QUIET_SECONDS
    assert {number: service.children()[number] for number in others} == others
    return others


def test_a_supervisor_that_was_stopped_itself_kills_nobody_when_it_wakes(scene: Scene) -> None:
    service = scene.ready_service(env=HEARTBEAT)
    before = service.children()
    scene.send([message("meanwhile", sleep_ms=3000 * TIMEOUT_SECONDS)])
    scene.wait_running("meanwhile")

    service.signal(signal.SIGSTOP)
    scene.wait_done()  # children work on without it, and here is how long it was away
    service.signal(signal.SIGCONT)
    woken = service.status()["uptime"]
    eventually(lambda: service.status()["uptime"] > woken + TIMEOUT_SECONDS + 1, SECONDS, "it had time to misjudge")

    assert woken > 3 * TIMEOUT_SECONDS
    assert service.children() == before
    assert [slot["restarts"] for slot in service.slots()] == [0, 0]
    assert service.status()["problems"] == []
    assert not re.search(r"hangs|SIGABRT|SIGKILL|ended", service.log)


@pytest.mark.parametrize("isolation", ["none", "process"])
def test_processes_that_were_stopped_for_longer_than_a_call_may_take_give_up_nothing_when_they_wake(
    scene: Scene, isolation: str
) -> None:
    limits = {"HANDLER_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS), "HANDLER_KILL_SECONDS": str(TIMEOUT_SECONDS + 0.5)}
    service = scene.ready_service(threads=2, env={**limits, "ISOLATION": isolation})
    before = service.children()
    away = TIMEOUT_SECONDS + 1
    # Each thread has its task process by then: a busy machine takes its time for that, and it counts as the call's.
    scene.send([message(f"warm-{n}", f"warm-{n}", sleep_ms=300) for n in range(16)])
    scene.wait_done()
    scene.send([message(f"{n}", f"{n}", sleep_ms=1000 * away + 1000) for n in range(2)])
    for name in ("0", "1"):
        scene.wait_running(name)

    for pid in before.values():
        os.kill(pid, signal.SIGSTOP)
    until = time.monotonic() + away
    eventually(lambda: time.monotonic() >= until, SECONDS, "they were away for longer than a call may take")
    for pid in before.values():
        os.kill(pid, signal.SIGCONT)

    scene.assert_each_ran_once()
    eventually(lambda: scene.admin.lag(scene.group, scene.topic) == 0, SECONDS, "everything is committed")
    assert service.children() == before
    assert not re.search(r"longer than|suspect|killed|is told that", service.log)
