"""When to commit what. Pure: the consumer thread asks, sends, and reports what the broker said.

At most one commit is in flight, because a broker that is busy with a rebalance answers all of them together, late, and an old
one must not land behind a new one. What can't be committed now stays dirty: the next commit carries the newest watermark.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, Tuple

from worker.assignment import Assignment, Partition


class Commits:
    """The state of committing in one process."""

    def __init__(self, interval: float) -> None:
        """`interval`: seconds between two commits."""
        self._interval = interval
        self._next = 0.0
        self.in_flight = 0
        self.acknowledged_at = -1.0  # monotonic seconds of the last good answer; -1: none yet
        self.succeeded = 0
        self.failed = 0

    def due(self, now: float) -> bool:
        """Whether it is time to look for something to commit."""
        return now >= self._next and not self.in_flight

    @staticmethod
    def dirty(partitions: Iterable[Partition], positions: Dict[Tuple[str, int], int]) -> List[Tuple[Partition, int]]:
        """The partitions whose target lies beyond what is committed, with that target."""
        targets = [(p, p.target(positions.get((p.topic, p.number), -1))) for p in partitions]
        return [(p, target) for p, target in targets if target > p.committed and target >= 0]

    def sent(self, now: float) -> None:
        """A commit is on its way."""
        self.in_flight += 1
        self._next = now + self._interval

    def nothing_to_send(self, now: float) -> None:
        """Nothing was dirty: look again after the interval."""
        self._next = now + self._interval

    def acknowledged(self, assignment: Assignment, committed: Iterable[Tuple[str, int, int]], now: float) -> None:
        """The broker has stored these (topic, partition, offset)."""
        for topic, number, offset in committed:
            partition = assignment.get(topic, number)
            if partition is not None:
                partition.committed = max(partition.committed, offset)
            self.acknowledged_at = now
            self.succeeded += 1

    def answered(self) -> None:
        """The answer to a commit has come, whatever it says."""
        self.in_flight = max(0, self.in_flight - 1)
