"""Handlers that make processes: by forking, by `multiprocessing`, as daemons, programs. What they have made is no part of the
service, and nothing of it stays that works for nobody."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import List

import pytest

from tests.support.eventually import eventually
from tests.support.messages import Sent, message
from tests.support.scene import SECONDS, Scene

pytestmark = pytest.mark.processes

HANDLER = "tests.support.forking_handlers:work"
METHODS = ("fork", "spawn", "forkserver")
PR_SET_CHILD_SUBREAPER = 36  # of prctl(2): orphans become ours, as those of a container become PID 1's
AS_PID_1 = "import ctypes, os, sys; ctypes.CDLL(None).prctl(%d, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"
USUAL = sum(1 << number - 1 for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE))


@pytest.mark.parametrize("isolation", ["none", "process"])
def test_processes_that_handlers_make_work_and_end_and_keep_no_slot(scene: Scene, isolation: str) -> None:
    prefix = [sys.executable, "-c", AS_PID_1 % PR_SET_CHILD_SUBREAPER]
    service = scene.ready_service(handler=HANDLER, processes=1, env={"ISOLATION": isolation}, prefix=prefix)
    own = len(service.pids())
    scene.send([*by("pool", 42), *by("program"), *by("die_behind", 4)])
    scene.wait_done()
    scene.send(by("daemon"))  # not beside those: a copy that stays holds the pipes of programs that start at that moment
    scene.wait_done()
    scene.send([each for method in METHODS for each in by("executor", method=method)])
    scene.wait_done()
    (daemon,) = (int(entry.id) for entry in scene.ledger.of("daemon"))
    (told,) = (entry.id.split() for entry in scene.ledger.of("program"))
    made = set(service.pids()) - {service.pid, daemon}
    assert len(made) > own
    scene.admin.wait_committed(scene.group, scene.topic)  # they have written that they are done, but were running still

    (child,) = service.children().values()
    os.kill(child, signal.SIGKILL)
    eventually(lambda: service.children().get(0, child) != child, SECONDS, "the slot has another process")
    eventually(lambda: not made.intersection(service.pids()), SECONDS, "what worked for the dead one is gone")
    eventually(lambda: not zombies_of(service.pid), SECONDS, "orphans that have ended are reaped")
    scene.send([message("last", how="pool", sleep_ms=700)])
    scene.wait_running("last")
    for _ in range(2):  # as a terminal and who started us do, both
        service.signal(signal.SIGINT)
    code = service.wait(SECONDS)

    assert code == 0
    assert scene.oracle.missing() == []
    assert set(service.pids()) == {daemon}
    assert [link for link in links(daemon) if "slot-" in link] == []
    assert not int(told[1], 16) & USUAL
    assert [link for link in told[2:] if link.startswith(("socket:", "/memfd:")) or "slot-" in link] == []
    assert scene.oracle.run_twice() == []
    os.kill(daemon, signal.SIGKILL)
    eventually(lambda: not service.pids(), SECONDS, "nothing is left for the end of the test")


def by(how: str, count: int = 1, method: str = "") -> List[Sent]:
    """Messages whose handlers make processes in this way."""
    return [message(f"{how}-{method}-{number}", f"{how}-{number}", how=how, method=method) for number in range(count)]


def zombies_of(parent: int) -> List[str]:
    """Its children that have ended, and that it does not take away."""
    lines = (path.read_text(errors="replace") for path in Path("/proc").glob("[0-9]*/stat") if path.exists())
    return [line for line in lines if line.rpartition(") ")[2].split()[:2] == ["Z", str(parent)]]


def links(pid: int) -> List[str]:
    """What a process has open."""
    return [os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir()]
