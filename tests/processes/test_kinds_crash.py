"""The end of a process with many coroutines under way: by `kill -9`, and in order."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.processes.test_exact_recovery import running_in
from tests.support.eventually import eventually
from tests.support.messages import messages, uneven
from tests.support.scene import SECONDS

if TYPE_CHECKING:
    from tests.support.scene import Scene

pytestmark = pytest.mark.processes

AT_ONCE = 40  # what ran is run a few at a time, apart: see worker/recovery/quarantine.py


def test_after_a_kill_exactly_the_coroutines_that_ran_run_again_and_after_a_stop_none(scene: Scene) -> None:
    """Committed is next to nothing before the stop: what is done is known from the journal alone."""
    scene.send(messages(1500, keys=750, sleep_ms=uneven(mostly=50, rarely=300)))
    environment = {"COROUTINES": str(AT_ONCE), "COMMIT_INTERVAL_SECONDS": "60", "MAX_IN_FLIGHT": "4000"}
    running = scene.ready_service(processes=1, threads=1, handler="tests.support.handlers:coroutine", env=environment)
    victim = running.children()[0]
    eventually(lambda: len(scene.ledger.of("end")) >= 5 * AT_ONCE, SECONDS, "hundreds are done")

    os.kill(victim, signal.SIGKILL)
    eventually(lambda: len(scene.ledger.of("end")) >= 20 * AT_ONCE, SECONDS, "hundreds more are done")
    running.terminate()
    assert running.wait(SECONDS) == 0
    left = len(scene.oracle.missing())
    running.start()
    scene.wait_done()

    cut, again = running_in(scene, victim), set(scene.oracle.started_twice())
    print(f"{len(cut)} coroutines were running, {len(again)} messages ran again; {left} were left by the stop")
    assert left
    assert len(cut) > AT_ONCE / 2
    assert again == cut
    assert scene.oracle.order_violations_per_key() == []
