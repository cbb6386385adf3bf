"""What the main thread looks after once a heartbeat: memory, open files, whether the process should be recycled, and how many
threads are worth having. Nothing of it costs anything a message."""

from __future__ import annotations

import contextlib
import math
import os
import random
import time
from typing import Any, Callable, Dict, Iterable, Optional, Tuple

from kafka_worker.pools.runner import Runner
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import machine, memory, room
from kafka_worker.shared.system.memory import MEGABYTE
from kafka_worker.upkeep.concurrency import ConcurrencyLimit
from kafka_worker.upkeep.recycling import Recycling
from kafka_worker.upkeep.samples import Sample

log = logs.logger(__name__)


def resident_bytes() -> int:
    """The memory of this process that is in RAM. Read from the kernel's own file: psutil would cost each child 4 MB and 18 ms
    to tell the same number in the same 12 us, so it is asked only where that file is missing (macOS)."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except FileNotFoundError:
        pass
    except OSError:  # it can't open a file just now
        return 0
    import psutil

    try:
        return int(psutil.Process().memory_info().rss)
    except psutil.Error:  # without /proc nobody says it
        return 0


def waited_for_cores(native_ids: Iterable[int]) -> float:
    """Seconds for which these threads of ours have been kept waiting for a core, together; 0.0 where the kernel does not say
    (Documentation/scheduler/sched-stats.rst of Linux). 15 us a thread."""
    waited = 0
    for native_id in native_ids:
        with contextlib.suppress(OSError), open(f"/proc/self/task/{native_id}/schedstat", "rb") as file:
            waited += int(file.read().split()[1])
    return waited / 1e9


class Upkeep:
    """Looks after one process, from its first turn as a member of the group on."""

    def __init__(
        self,
        settings: Settings,
        pool: Runner,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
        resident: Callable[[], int] = resident_bytes,
        files: Callable[[], Tuple[int, int]] = room.open_files,
    ) -> None:
        """Nothing is looked at before the first `check`."""
        shares = memory.shares(settings)
        self._pool = pool
        self._clock = clock
        self._resident = resident
        self._files = files
        self._soft_limit = shares.soft if shares else 0
        self._recycling = Recycling(settings.recycle_messages, settings.recycle_seconds, self._soft_limit, chance)
        self._concurrency: Optional[ConcurrencyLimit] = None
        self._tuned = pool.tuned
        # A task process a thread is more than a thread, and what it uses is not seen here.
        if self._tuned and settings.threads_max > settings.threads and settings.isolation == "none":
            core = machine.usable_cores() / settings.processes
            self._concurrency = ConcurrencyLimit(settings.threads, settings.threads_max, core)
        self._most = settings.threads_max
        self._most_reached = False
        self._began: Optional[float] = None
        self._bytes = self._first_bytes = 0
        self._reason = ""

    def check(self) -> None:
        """Measure, and set the number of threads."""
        now = self._clock()
        self._bytes = self._resident() or self._bytes
        files, most_files = self._files()
        if self._began is None:
            self._began, self._first_bytes = now, self._bytes
        was_oversized = self._recycling.oversized
        done = sum(t.done for t in self._pool.threads)
        self._reason = self._recycling.reason(now - self._began, done, self._bytes, files, most_files)
        if self._recycling.oversized and not was_oversized:
            log.warning(
                "%d MB right after the start, above its share of MEMORY_LIMIT (%d MB): a new process would be as large",
                self._bytes / MEGABYTE, self._soft_limit / MEGABYTE,
                extra=about(Event.OVERSIZED),
            )  # fmt: skip
        if self._concurrency is not None and self._tuned is not None:
            self._tune(self._concurrency, self._tuned, now)

    def fields(self) -> Dict[str, Any]:
        """What the heartbeat says of it."""
        return {
            "threads": self._pool.limit, "rss": self._bytes, "renew": self._reason, "oversized": self._recycling.oversized,
        }  # fmt: skip

    @property
    def outgrown(self) -> bool:
        """Whether it was recycled for memory or files that what runs in it has used up, as far as one can tell."""
        return self._recycling.outgrown or self._recycling.out_of_files

    def _tune(self, limit: ConcurrencyLimit, pool: Pool, now: float) -> None:
        before = limit.threads
        threads = limit.take(_sample(pool, now, known=before == self._most), most=self._most_by_memory(before))
        if threads != before:
            log.debug("%d threads, from %d", threads, before)
            pool.resize(threads)
        if threads == self._most and not self._most_reached:
            self._most_reached = True
            log.info("As many threads as THREADS_MAX allows: %d", threads, extra=about(Event.THREADS_MAX))

    def _most_by_memory(self, threads: int) -> float:
        """How many threads there is memory for, when each needs its part of what has been added since the start."""
        if not self._soft_limit:
            return math.inf
        return threads * (self._soft_limit - self._first_bytes) / max(1, self._bytes - self._first_bytes)


def _sample(pool: Pool, now: float, *, known: bool) -> Sample:
    """`known`: there are as many threads as may be, and whether more would be worth having is asked no more."""
    threads = pool.threads
    running = [thread for thread, _ in pool.running()]
    cpu, waiting = time.process_time(), pool.waiting
    stalled = waiting and len(running) >= pool.limit and not known
    return Sample(
        at=now,
        ended=sum(thread.done + thread.failed for thread in threads),
        ended_seconds=sum(thread.busy_seconds for thread in threads),
        cpu_seconds=cpu,
        wanted_seconds=cpu + waited_for_cores(thread.native_id for thread in threads) if stalled else cpu,
        ages=sum(max(0.0, now - thread.started) for thread in running),
        running=len(running),
        waiting=waiting,
    )
