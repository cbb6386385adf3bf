"""How partitions are drained, because they go away or because the process ends: they are closed, what runs of them is
finished, what lies between finished tasks is run too, and the rest is left for whoever comes next. Then they are settled.
Consumer thread only.

Whoever waits for that does its duties meanwhile: nothing else of the process, or of the group, has to wait too.
"""

from __future__ import annotations

from typing import Callable, Iterable, List, Tuple

from kafka_worker.draining.ongoing import Ongoing
from kafka_worker.outcomes.decisions import Decisions
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task, in_words, is_void, kept_back, offset_of, partition_of
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.pools.runner import Runner
from kafka_worker.recovery.quarantine import Quarantine

# A task that waits for its next attempt is not worth everybody else's wait: whoever comes next knows what was done behind it,
# and starts it again. But waiting for a moment is cheaper than that.
PATIENCE_SECONDS = 1.0


class Settling:
    """Watches handler threads on behalf of closed partitions."""

    def __init__(self, pool: Runner, quarantine: Quarantine, decisions: Decisions, clock: Callable[[], float]) -> None:
        """Nothing is closed yet."""
        self._pool = pool
        self._quarantine = quarantine
        self._decisions = decisions
        self._clock = clock
        self.ongoing = Ongoing(self.all_running, decisions, pool)

    def settled(self, partitions: Iterable[Partition], until: float) -> bool:
        """Close these partitions, and look whether they are at rest. Asked again and again; true at `until` (monotonic
        seconds) at the latest, which may have come nearer meanwhile."""
        for partition in partitions:
            partition.closing.close(until)
        now = self._clock()
        if now >= until:
            return True
        self._decisions.abandon(min(until, now + PATIENCE_SECONDS))
        # In this order: what has just stopped running has left its outcome, or is undecided, or is on its way to be stored.
        running = self._waited_for(partitions)
        self.ongoing.collect()
        if (self._decisions.undecided() | self.ongoing.undecided).intersection(partitions):
            return False
        settled = [partition.closing.settled(self._highest(running, partition)) for partition in partitions]
        if all(settled) and not any(partition.flow.in_transit for partition in partitions):
            return True
        self.start_after_all()
        return False

    def start_after_all(self) -> None:
        """Start what was kept back and lies below its partition's frontier after all; forget what is no longer ours."""
        tasks = [self._pool.kept_back.popleft() for _ in range(len(self._pool.kept_back))]
        self._decisions.requeue(task for task in tasks if not kept_back(task))
        self._pool.kept_back.extend(task for task in tasks if kept_back(task) and not partition_of(task).closing.forgotten)

    def running(self, partitions: Iterable[Partition]) -> List[Tuple[HandlerThread, Task]]:
        """What runs of these partitions."""
        ours = set(partitions)
        return [(thread, task) for thread, task in self.all_running() if partition_of(task) in ours]

    def busy(self, partition: Partition) -> bool:
        """Whether some of its tasks run."""
        return bool(self.running([partition]))

    def all_running(self) -> List[Tuple[HandlerThread, Task]]:
        """What runs, in whichever pool. Any thread."""
        return [*self._pool.running(), *self._quarantine.running()]

    def _waited_for(self, partitions: Iterable[Partition]) -> List[Tuple[HandlerThread, Task]]:
        """What runs of them, except calls that hang: those leave a gap that nobody fills, like a retry that comes too late."""
        ours, waited_for = set(partitions), []
        for thread, called in self.all_running():
            task = self.ongoing.now(called)
            if partition_of(task) not in ours or is_void(called):
                continue  # void: parked, its offset has an outcome of its own
            if thread.hangs(called):  # asked only once: the main thread may change that at any moment
                partition_of(task).closing.abandon(offset_of(task))
            else:
                waited_for.append((thread, task))
        return waited_for

    def described(self, partitions: Iterable[Partition]) -> List[str]:
        """What runs of these partitions and does not hang, in words for the log."""
        return [
            f"{in_words(task)}, running for {self._clock() - thread.started:.1f} s in {thread.name}"
            for thread, task in self._waited_for(partitions)
        ]

    def _highest(self, running: List[Tuple[HandlerThread, Task]], partition: Partition) -> int:
        """The highest offset of the partition that runs now, or waits to be stored, and so for all below it; -1: none."""
        offsets = [offset_of(task) for _, task in running if partition_of(task) is partition]
        return max([*offsets, self._decisions.highest_unstored(partition)])
