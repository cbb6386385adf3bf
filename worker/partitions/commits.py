"""When to commit what. Pure: the consumer thread asks, sends, and reports what the broker said.

At most one commit is in flight, because a broker that is busy with a rebalance answers all of them together, late, and an old
one must not land behind a new one. (In a revocation, which may take minutes, the client passes no answers on: one is sent per
interval all the same.) What can't be committed now stays dirty: the next commit carries the newest watermark.
"""

from __future__ import annotations

from typing import Callable, Dict, Iterable, List, Tuple

from kafka_worker.partitions.assignment import Assignment, Partition
from kafka_worker.shared.ipc.snapshot import TopicPartition

SOON = 0.2  # seconds between two looks while an assignment has no commit of its own: without, its memory is not found again


class Commits:
    """The state of committing in one process."""

    def __init__(self, interval: float) -> None:
        """`interval`: seconds between two commits."""
        self._interval = interval
        self._next = 0.0
        self.in_flight = 0
        self.acknowledged_at = -1.0  # monotonic seconds of the last good answer; -1: none yet

    def due(self, now: float, *, deaf: bool = False) -> bool:
        """Whether it is time to look for something to commit. `deaf`: answers can't be heard now, so none is waited for. The
        newest watermark still lands last: a client's commits are stored in the order in which they were sent."""
        return now >= self._next and (deaf or not self.in_flight)

    def soon(self, now: float) -> None:
        """An assignment is new, or has something to commit now: the broker should soon hold a commit of it."""
        self._next = min(self._next, now + SOON)

    @staticmethod
    def dirty(
        partitions: Iterable[Partition],
        positions: Dict[TopicPartition, int],
        metadata: Callable[[Partition, int], str],
        reach: Callable[[Partition], int] = lambda _: -1,
    ) -> List[Tuple[Partition, int, str]]:
        """The partitions of which the broker does not hold everything (the target has moved, or what is done beyond it has
        changed), with the offset to commit and its metadata. `reach`: up to where a transaction could commit."""
        dirty = []
        for partition in partitions:
            if partition.flow.not_begun:
                continue  # what the broker holds is not known yet
            stored, position = partition.stored, positions.get(partition.name, -1)
            target = max(stored.committed, partition.target(position), reach(partition))
            text = metadata(partition, target) if target >= 0 else ""
            if not stored.holds(target, text):
                dirty.append((partition, target, text))
        return dirty

    def sent(self) -> None:
        """A commit is on its way."""
        self.in_flight += 1

    def checked(self, partitions: Iterable[Partition], now: float) -> None:
        """What was dirty was sent, or could not be sent: look again after the interval."""
        soon = any(map(_nameless, partitions))
        self._next = now + (min(self._interval, SOON) if soon else self._interval)

    def acknowledged(
        self, assignment: Assignment, committed: Iterable[Tuple[str, int, int]], now: float
    ) -> List[Tuple[Partition, int]]:
        """The broker has stored these (topic, partition, offset). Returns those that are ours; none while a newer commit is on
        its way, whose metadata may differ."""
        stored = []
        for topic, number, offset in committed:
            partition = assignment.get(topic, number)
            if partition is not None and not self.in_flight and partition.stored.acknowledged(offset):
                stored.append((partition, offset))
            self.acknowledged_at = now
        return stored

    def answered(self) -> None:
        """The answer to a commit has come, whatever it says."""
        self.in_flight = max(0, self.in_flight - 1)


def _nameless(partition: Partition) -> bool:
    """Whether it has something to commit, and this assignment has committed nothing yet. (An empty partition, or one that
    nobody leads, may have nothing for hours.)"""
    stored = partition.stored
    return not (stored.named or partition.flow.not_begun) and max(stored.committed, partition.target(-1)) >= 0
