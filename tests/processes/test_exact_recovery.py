"""After a death, only what was really running is run again: in the same slot by its journal, elsewhere by the commit's
metadata."""

from __future__ import annotations

import os
import random
import signal
from typing import TYPE_CHECKING, Set

import pytest

from tests.support.eventually import eventually
from tests.support.messages import messages, uneven
from tests.support.scene import SECONDS, Scene

if TYPE_CHECKING:
    from tests.support.service import Service

pytestmark = pytest.mark.processes

KILLS, PROCESSES, THREADS = 20, 5, 6
RETURN_SECONDS = 0.05
UNCOMMITTED = 150  # tasks: half a second's work, at 20 ms each in 6 threads; the commits come every 0.1 s
SESSION = {"KAFKA_CONSUMER_SESSION_TIMEOUT_MS": "6000"}


def running_in(scene: Scene, pid: int) -> Set[str]:
    """The messages that a process started and never ended. A handler that had written its end and not returned yet was running
    too: to see that, whether the message runs again must be known, so those are what ended in the last moment and ran again.
    """
    mine = [entry for entry in scene.ledger.entries() if entry.pid == pid]
    last = max((entry.at for entry in mine), default=0.0)
    ended = {entry.id: entry.at for entry in mine if entry.event == "end"}
    again = set(scene.oracle.started_twice())
    returning = {name for name, at in ended.items() if at >= last - RETURN_SECONDS and name in again}
    return {entry.id for entry in mine if entry.event == "start"} - set(ended) | returning


def kill_one(scene: Scene, running: Service, slot: int, at_start: int) -> int:
    """Kill the slot's process when it has started so many tasks; its pid. Returns when the next one works."""
    victim = running.children()[slot]
    eventually(
        lambda: sum(entry.pid == victim for entry in scene.ledger.of("start")) >= at_start, SECONDS, f"slot {slot} works"
    )
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: running.children().get(slot, victim) != victim, SECONDS, f"slot {slot} is filled again")
    successor = running.children()[slot]
    eventually(lambda: any(e.pid == successor for e in scene.ledger.of("end")), SECONDS, f"process {successor} works")
    return victim


def test_over_twenty_kills_exactly_the_running_tasks_run_again(scene: Scene) -> None:
    """A commit interval of a minute: all that is known comes from the journal. Times are uneven, so there are gaps."""
    environment = {"COMMIT_INTERVAL_SECONDS": "60", "RESTART_LIMIT": "100"}
    running = scene.ready_service(processes=PROCESSES, threads=THREADS, env=environment)
    chance = random.Random(4)

    with scene.load():
        victims = [kill_one(scene, running, number % PROCESSES, chance.randint(20, 60)) for number in range(KILLS)]
    scene.wait_done()
    running.terminate()

    assert running.wait(SECONDS) == 0
    cut = set().union(*(running_in(scene, victim) for victim in victims))
    again = set(scene.oracle.started_twice())
    print(f"{KILLS} kills: {len(cut)} tasks were running, {len(again)} ran again")
    assert len(cut) >= KILLS
    assert again == cut
    assert scene.oracle.order_violations_per_key() == []
    assert scene.admin.lag(scene.group, scene.topic) == 0


def test_when_a_whole_host_dies_another_runs_again_only_what_its_last_commits_did_not_hold(scene: Scene) -> None:
    """Some messages take long: what is done behind them can't be committed, but is in the map."""
    scene.send(messages(1200, keys=300, sleep_ms=uneven(mostly=20, rarely=4000, share=0.01)))
    environment = {**SESSION, "COMMIT_INTERVAL_SECONDS": "0.1"}
    doomed = scene.ready_service(processes=1, threads=THREADS, env=environment, host="doomed")
    eventually(lambda: len(scene.ledger.of("end")) >= 400, SECONDS, "the host works")
    pids = [*doomed.children().values(), doomed.pid]

    for pid in (doomed.pid, *doomed.children().values()):
        os.kill(pid, signal.SIGKILL)
    heir = scene.ready_service(processes=2, threads=THREADS, env=SESSION, host="heir")
    scene.wait_done()

    cut = set().union(*(running_in(scene, pid) for pid in pids))
    uncommitted = [name for name in scene.oracle.started_twice() if name not in cut]
    print(f"{len(cut)} tasks were running; {len(uncommitted)} more ran again")
    assert "done before beyond offset " in heir.log
    assert len(uncommitted) <= UNCOMMITTED
