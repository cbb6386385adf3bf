"""Finds the processes of a test's service, orphans included, by a variable in their environment."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import List

from tests.support.eventually import eventually

GONE_SECONDS = 5.0  # for the kernel to take processes away
MARKER = "SERVICE_TEST_ID"  # in the environment of a test's service, which all its processes inherit


def marked_processes(value: str = "") -> List[int]:
    """The pids of one service, or of all that this test run has started; zombies do not count."""
    return [pid for pid in _pids() if _wanted(value) in _environment(pid)]


def marker_value(name: str) -> str:
    """A value of the marker that belongs to this test run: others may run on the same machine."""
    return f"{os.getpid()}-{name}"


def kill_marked(value: str) -> None:
    """SIGKILL for each process of a service, those too that it starts meanwhile. They are gone when this returns."""

    def gone() -> bool:
        pids = marked_processes(value)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not pids

    eventually(gone, GONE_SECONDS, "what was killed is gone")


def resident_bytes(pid: int) -> int:
    """What a process has in RAM. 0: it is gone."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def stands_still(pid: int) -> bool:
    """Whether each of its threads has been stopped."""
    return all(_state(thread) in ("T", "") for thread in Path(f"/proc/{pid}/task").iterdir())


def _state(thread: Path) -> str:
    """Its letter. Empty: it has ended meanwhile."""
    with contextlib.suppress(OSError):
        return (thread / "stat").read_text().rpartition(")")[2].split()[0]
    return ""


def _wanted(value: str) -> bytes:
    return f"\0{MARKER}={value + chr(0) if value else marker_value('')}".encode()


def _pids() -> List[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _environment(pid: int) -> bytes:
    with contextlib.suppress(OSError):  # ended meanwhile, or somebody else's
        return b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
    return b""
