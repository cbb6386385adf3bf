"""Processes that have lost who started them. Each child of the supervisor has a session of its own, in which everything stays
that its handlers start, unless it leaves on purpose, as daemons do. So it can be told what an ended process has left behind.

Its copies, and what `multiprocessing` has started for it, work for nobody any more: most would wait for ever for the next job,
and what is at one would do it beside the process that does the same message again. They are ended, as they would be at an
orderly end of Python. Programs of other kinds are the handler's own affair, as everywhere.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Container, Dict, Iterator, List, Tuple

from kafka_worker import start

#: In the command line of a copy, and of a process that `multiprocessing` starts, or `loky` in its place (as joblib does).
#: (Resource trackers end by themselves, last.)
_OURS = (
    os.fsencode(start.command("")[1]), b"from multiprocessing.spawn ", b"from multiprocessing.forkserver ",
    b"loky.backend.popen_loky_posix",
)  # fmt: skip
_MOST = 100  # in one turn of whoever reaps


def end_left_behind(session: int, number: int = signal.SIGTERM, *, leader_ends: bool = False) -> List[int]:
    """Send a signal to each copy in the session that does not descend from its leader: that is dead, or who was in between is.
    `leader_ends`: it is about to."""
    parents = dict(_members(session))
    if leader_ends:
        parents.pop(session, None)
    found = [pid for pid in parents if not _descends(pid, session, parents) and _is_ours(pid)]
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    return found


def reap(ours: Container[int]) -> None:
    """Take away dead children that nobody waits for: PID 1 of a container gets all orphans. `ours` are waited for elsewhere,
    where their exit status is wanted."""
    for _ in range(_MOST if hasattr(os, "waitid") else 0):
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # there are no children
            return
        if dead is None or dead.si_pid in ours:
            return
        os.waitpid(dead.si_pid, 0)


def _members(session: int) -> Iterator[Tuple[int, int]]:
    """Each process of the session, and its parent; where there is no /proc, none."""
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit() and _session(int(name)) == session:  # one call each; of those alone is read
            _state, parent = (_read(name, "stat").rpartition(b") ")[2].split() + [b"0"] * 2)[:2]
            yield int(name), int(parent)


def _session(pid: int) -> int:
    with contextlib.suppress(OSError):  # it has ended meanwhile
        return os.getsid(pid)
    return 0


def _descends(pid: int, leader: int, parents: Dict[int, int]) -> bool:
    while pid in parents and pid != leader:
        pid = parents[pid]
    return pid in parents


def _is_ours(pid: int) -> bool:
    command = _read(str(pid), "cmdline")
    return any(part in command for part in _OURS)


def _read(pid: str, name: str) -> bytes:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/{name}", "rb") as file:  # it has ended meanwhile
        return file.read()
    return b""
