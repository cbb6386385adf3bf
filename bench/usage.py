"""What processes have used, by what the kernel says of them."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from pathlib import Path
from typing import Dict, Iterable

import psutil

from bench.noise import machine_seconds

MB = 1024 * 1024


def cpu_seconds(pids: Iterable[int]) -> float:
    """Of these processes, and of those of their children that are no more."""
    used = 0.0
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            used += times.user + times.system + times.children_user + times.children_system
    return used


def machine() -> float:
    """CPU seconds of all programs, ever."""
    return machine_seconds(Path("/proc/stat").read_text(), os.sysconf("SC_CLK_TCK"))


def received_bytes(pids: Iterable[int]) -> int:
    """What these have got by the TCP connections that they have now."""
    command = ["ss", "--tcp", "--info", "--processes", "--no-header", "--oneline"]
    owners = tuple(f"pid={pid}," for pid in pids)
    lines = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
    ours = (line for line in lines if any(owner in line for owner in owners))
    return sum(int(number) for line in ours for number in re.findall(r"bytes_received:(\d+)", line))


def resident_mb(pid: int) -> float:
    """In RAM, without what is shared memory: there are the marks of the bench."""
    return _sum_mb(f"/proc/{pid}/status", ("RssAnon", "RssFile"))


def proportional_mb(pids: Iterable[int]) -> float:
    """Of all these together: what several have is counted once. Without shared memory."""
    return sum(_sum_mb(f"/proc/{pid}/smaps_rollup", ("Pss_Anon", "Pss_File")) for pid in pids)


def _sum_mb(path: str, names: Iterable[str]) -> float:
    """0: the process is gone."""
    found: Dict[str, float] = {}
    with contextlib.suppress(OSError):
        for line in Path(path).read_text().splitlines():
            name, _, rest = line.partition(":")
            if rest.endswith("kB"):
                found[name] = float(rest.split()[0]) * 1024 / MB
    return sum(found.get(name, 0.0) for name in names)
