"""What this machine lets us have. How many cores this process may use: what `--processes auto` and `--threads auto` mean. In a
container the machine's own count is wrong, so the scheduler's affinity and the control groups' quota are asked. And whether a
process leaves a core file, and whether memory ran out. What there is room for: `room`.

No well-kept library reads the quota; the files and their meaning: `Documentation/admin-guide/cgroup-v2.rst`
of Linux.
"""

from __future__ import annotations

import math
import os
import re
import resource
from collections import deque
from typing import Deque, Iterator, List, Optional, Tuple


def usable_cores(root: str = "/") -> int:
    """The smaller of affinity and quota (rounded up), at least 1. `root` is where the file system begins."""
    quota = cpu_quota(root)
    allowed = _affinity() if quota is None else min(_affinity(), math.ceil(quota))
    return max(1, allowed)


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS has no affinity


def cpu_quota(root: str = "/") -> Optional[float]:
    """The tightest CPU quota, in cores, of our control group and those above it; None without a limit."""
    quotas = [_v1(folder) if version == 1 else _v2(folder) for version, folder in _groups("cpu", root)]
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_quota(root: str = "/") -> Optional[int]:
    """The tightest limit of memory, in bytes, of our control group and those above it (version 2); None without a limit."""
    folders = [folder for version, folder in _groups("memory", root) if version > 1]
    told = [(read(os.path.join(folder, "memory.max")) or "").strip() for folder in folders]
    return min((int(limit) for limit in told if limit.isdigit()), default=None)


def groups(controller: str, root: str) -> List[str]:
    """The folders of our control groups, and of those above them, that may hold a limit of this controller."""
    return list(dict.fromkeys(folder for _, folder in _groups(controller, root)))


def _groups(controller: str, root: str) -> Iterator[Tuple[int, str]]:
    """Version and folder of each group that may hold a quota of ours. Lines are `id:controllers:path`."""
    mounted = os.path.join(root, "sys/fs/cgroup")
    for line in (read(os.path.join(root, "proc/self/cgroup")) or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            for folder in (mounted, os.path.join(mounted, "unified")):  # the latter when v1 and v2 are mixed
                yield from ((2, each) for each in _upwards(folder, path))
        elif controller in controllers.split(","):
            for folder in (os.path.join(mounted, controllers), os.path.join(mounted, controller)):
                yield from ((1, each) for each in _upwards(folder, path))


def _upwards(mounted: str, path: str) -> List[str]:
    """The folders from `path` up to where the groups are mounted. A container may not see the lower ones."""
    parts = [part for part in path.split("/") if part not in {"", ".."}]
    return [os.path.join(mounted, *parts[:depth]) for depth in range(len(parts), -1, -1)]


def _v2(folder: str) -> Optional[float]:
    return _cores((read(os.path.join(folder, "cpu.max")) or "").split())


def _v1(folder: str) -> Optional[float]:
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    return _cores([(read(os.path.join(folder, name)) or "").strip() for name in names])


def _cores(quota_and_period: List[str]) -> Optional[float]:
    """Microseconds of CPU per period; `max` (v2) and -1 (v1) mean no limit."""
    try:
        quota, period = (int(number) for number in quota_and_period)
    except ValueError:
        return None
    return quota / period if quota > 0 and period > 0 else None


def read(path: str) -> Optional[str]:
    """What stands in a file of the kernel's; None: it has none."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return None


def forbid_core_dumps() -> None:
    """For this process and all that are started from here: a core holds passwords. Whoever wants one may raise the limit."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


class OomKills:
    """Whether the kernel has killed for want of memory of late. It counts for the whole machine (`oom_kill` in /proc/vmstat of
    Linux), so who died by SIGKILL about then was most likely meant."""

    LATELY = 10.0  # seconds: a process with much memory takes a while to end

    def __init__(self, root: str = "/") -> None:
        """`root`: where the files of the system are."""
        self._path = os.path.join(root, "proc/vmstat")
        self._seen: Deque[Tuple[float, int]] = deque()

    def check(self, now: float) -> None:
        """To be called every now and then; `now`: monotonic seconds."""
        if not self._seen or now >= self._seen[-1][0] + 1.0:
            self._seen.append((now, self._count()))
        while len(self._seen) > 1 and self._seen[1][0] <= now - self.LATELY:
            self._seen.popleft()

    def lately(self, now: float) -> bool:
        """Whether it has, in the last ten seconds or so."""
        self.check(now)
        return self._count() > self._seen[0][1]

    def _count(self) -> int:
        found = re.search(r"^oom_kill (\d+)$", read(self._path) or "", re.MULTILINE)
        return int(found[1]) if found else 0
