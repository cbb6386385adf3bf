"""The last detector: a partition that should move and does not, with nothing that explains it. What does explain it is told
elsewhere: a task runs or waits for its next attempt, a breaker is open, it is held, no broker answers. Consumer thread only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Iterable, List, Optional, Set, Tuple

from kafka_worker.kafka.ends import End, Ends
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import partition_of
from kafka_worker.parts import Parts
from kafka_worker.shared.ipc.snapshot import PartitionReport
from kafka_worker.shared.settings import Settings
from kafka_worker.standstill.unreadable import moved_to

Reported = Tuple[Partition, PartitionReport]

UNCOMMITTED = "what is done up to offset {} is not committed: the broker stores no commit beyond {}"
LOST_SIGHT = "{} messages are here, and none of them runs or waits for anything: a fault of ours, restart its process"
UNANSWERED = "the broker does not tell its end: {}. Has it a leader? (kafka-topics.sh --describe)"
TRANSACTION = "all behind offset {} waits for a transaction of its producer, neither committed nor aborted (isolation.level)"
UNDELIVERED = (
    "nothing is delivered from offset {} on, where {} are, and the client tells no fault. If they can't be read, step over "
    "them: stop the service, then: {}"
)


class Standstills:
    """Looks at the partitions of one process whenever they are reported."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        """`settings` say for how long a partition may stand still."""
        self._settings = settings
        self._seconds = settings.stall_seconds
        self._pool, self._quarantine, self._decisions = parts.pool, parts.quarantine, parts.decisions
        self._all_running = parts.settling.all_running

    def told(self, reported: List[Reported], ends: Ends, now: float) -> List[PartitionReport]:
        """The reports, which say of each partition that stands still how it does."""
        still = {partition: self._still(partition, report, now) for partition, report in reported}
        # Soon enough to know it when the time is over.
        silent = [(p.topic, p.number) for p, report in reported if still[p] > self._seconds / 2 and not report.in_flight]
        known = ends.of(silent, now)
        return [
            replace(report, stalled=self._why(p, report, known.get((p.topic, p.number)), still[p], now))
            for p, report in reported
        ]

    @staticmethod
    def excuse(reported: Iterable[Reported]) -> None:
        """Nothing can move now, and that is told otherwise."""
        for partition, _ in reported:
            partition.moves.restart()
            partition.commits.restart()

    @staticmethod
    def _still(partition: Partition, report: PartitionReport, now: float) -> float:
        if report.held or partition.closing.closed:
            partition.moves.restart()
        return partition.moves.still(now, partition.read_to, report.watermark, report.in_flight)

    def _why(self, partition: Partition, report: PartitionReport, end: Optional[End], still: float, now: float) -> str:
        """Why it should move and does not; empty: it does, or need not, or something explains it."""
        owed = report.watermark > report.committed
        if not owed:
            partition.commits.restart()
        if owed and partition.commits.still(now, report.committed) >= self._seconds:
            return UNCOMMITTED.format(report.watermark, report.committed)
        here = report.in_flight + partition.flow.waiting
        if not here and end and not end.problem and end.latest <= max(0, partition.read_to):
            partition.moves.restart()  # it has nothing to do: time counts from when it has
            return ""
        if still < self._seconds:
            return ""
        return self._lost_sight(partition, here) if here else self._undelivered(partition, end)

    def _lost_sight(self, partition: Partition, here: int) -> str:
        waits_for_a_hand = len(partition.queue) > 0 and (
            self._settings.max_messages_per_second > 0 or self._pool.full(partition.queue.topic)
        )
        waits_for_room = partition.flow.waiting and self._active()
        waits = waits_for_a_hand or waits_for_room or partition.flow.in_transit or self._quarantine.count
        return "" if waits or partition in self._active() else LOST_SIGHT.format(here)

    def _active(self) -> Set[Partition]:
        """Of which something runs, or waits for what we know."""
        return self._decisions.waiting() | {partition_of(task) for _, task in self._all_running()}

    def _undelivered(self, partition: Partition, end: Optional[End]) -> str:
        at = max(0, partition.read_to)
        if end is None or (partition.flow.paused and self._active()):  # for want of room, which others have
            return ""
        if end.problem:
            return UNANSWERED.format(end.problem)
        if end.stable <= at:
            return TRANSACTION.format(at)
        command = moved_to(self._settings, partition.topic, partition.number, f"--to-offset {at + 1}")
        return UNDELIVERED.format(at, end.latest - at, command)
