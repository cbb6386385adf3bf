"""What is left behind in a session, and the dead that nobody waits for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Dict, Iterator, List

import pytest

from kafka_worker import start
from kafka_worker.shared.system import orphans
from tests.support.eventually import eventually
from tests.support.kafka_jars import ROOT

SECONDS = 10.0
# A leader, its copy, a copy of that one, a copy that leaves the session as daemons do, and two programs, one of them a worker
# of joblib's (as its command line says). Their pids are told.
SCRIPT = """
import os, subprocess, sys, time
def tell(name, pid):
    os.write(1, b"%s %d\\n" % (name.encode(), pid))
def fork(name, then):
    if os.fork() == 0:
        then()
        tell(name, os.getpid())
        time.sleep(60)
fork("copy", lambda: fork("copy of the copy", lambda: None))
fork("daemon", os.setsid)
tell("program", subprocess.Popen(["sleep", "60"]).pid)
waits = [sys.executable, "-S", "-c", "import time; time.sleep(60)", "-m", "joblib.externals.loky.backend.popen_loky_posix"]
tell("worker", subprocess.Popen(waits).pid)
tell("leader", os.getpid())
time.sleep(60)
"""
REAPED = """
import os, subprocess, sys
from kafka_worker.shared.system.orphans import reap
stranger, ours = subprocess.Popen(["true"]), subprocess.Popen(["sh", "-c", "exit 7"])
for each in (stranger, ours):
    os.waitid(os.P_PID, each.pid, os.WEXITED | os.WNOWAIT)
reap({ours.pid})
assert ours.wait() == 7
reap(set())
try:
    os.waitpid(stranger.pid, 0)
except ChildProcessError:
    print("reaped")
"""


@pytest.fixture
def family() -> Iterator[Dict[str, int]]:
    """The pid of each of them."""
    command = [sys.executable, "-S", "-c", SCRIPT, start.command("process")[1]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as leader:
        assert leader.stdout
        lines = [leader.stdout.readline().decode() for _ in range(6)]
        pids = {name: int(pid) for name, _, pid in (line.rpartition(" ") for line in lines)}
        yield pids
        for pid in pids.values():
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    """Until it is a zombie: only then its children have another parent, although its command line has been gone before."""
    return orphans._read(str(pid), "stat").rpartition(b") ")[2][:1] not in (b"", b"Z", b"X")


def test_copies_of_a_dead_process_end_and_programs_and_daemons_go_on(family: Dict[str, int]) -> None:
    session = family["leader"]

    assert orphans.end_left_behind(session) == []
    os.kill(session, signal.SIGKILL)
    eventually(lambda: not alive(session), SECONDS, "the leader is dead")
    ended = orphans.end_left_behind(session)

    assert sorted(ended) == sorted([family["copy"], family["copy of the copy"], family["worker"]])
    eventually(lambda: not any(map(alive, ended)), SECONDS, "they have ended")
    assert orphans.end_left_behind(session) == []
    assert alive(family["daemon"])
    assert alive(family["program"])


def test_a_copy_whose_maker_is_dead_ends_although_the_leader_lives(family: Dict[str, int]) -> None:
    os.kill(family["copy"], signal.SIGKILL)
    eventually(lambda: not alive(family["copy"]), SECONDS, "its maker is dead")

    assert eventually(lambda: orphans.end_left_behind(family["leader"]), SECONDS, "it is left behind") == [
        family["copy of the copy"]
    ]


def test_before_the_leader_ends_all_its_copies_do(family: Dict[str, int]) -> None:
    ended = orphans.end_left_behind(family["leader"], 0, leader_ends=True)

    assert sorted(ended) == sorted([family["copy"], family["copy of the copy"], family["worker"]])


def test_of_processes_in_other_sessions_nothing_is_read(family: Dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    read: List[int] = []
    really = orphans._read

    def noted(pid: str, name: str) -> bytes:
        read.append(int(pid))
        return really(pid, name)

    monkeypatch.setattr(orphans, "_read", noted)
    orphans.end_left_behind(family["leader"])

    assert set(map(os.getsid, read)) == {family["leader"]}


def test_the_dead_that_nobody_waits_for_are_reaped_and_others_keep_their_exit_status() -> None:
    done = subprocess.run([sys.executable, "-c", REAPED], cwd=ROOT, stdout=subprocess.PIPE, check=True)

    assert done.stdout == b"reaped\n"
