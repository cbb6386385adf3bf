"""Which partitions to pause and which to resume, so that no more than `MAX_IN_FLIGHT` tasks are in flight in a process, and
one slow partition can't take the room of the others. Pure.

Pausing throws away what the client has prefetched of the partition, so there is a distance between the limit at which a
partition is paused and the one at which it is resumed.
"""

from __future__ import annotations

from typing import Iterable, List, Tuple

from worker.assignment import Partition

LARGEST_BATCH = 500  # messages; beyond it a batch gets no cheaper (measured: 100 to 500 is best)


class Backpressure:
    """The limits of one process."""

    def __init__(self, max_in_flight: int) -> None:
        """`max_in_flight`: tasks, over all partitions."""
        self._limit = max_in_flight
        # One batch may all come from one partition: an eighth of the room leaves the others theirs.
        self._batch = max(1, min(LARGEST_BATCH, max_in_flight // 8))

    def room(self, in_flight: int) -> int:
        """How many messages may be taken in one go when `in_flight` are in flight; at least one, because a client that is
        not asked for messages does not serve its group either (all partitions are paused when there is no room)."""
        return max(1, min(self._batch, self._limit - in_flight))

    def decide(self, partitions: Iterable[Tuple[Partition, int]]) -> Tuple[List[Partition], List[Partition]]:
        """(to pause, to resume) for partitions with their numbers in flight. One that is held is paused whatever its number.

        What is in flight from retry topics sleeps, perhaps for hours: it has the same room once more for itself, or else a few
        batches of it would stop the ordinary topics, and is never what makes the process full."""
        counted = list(partitions)
        ordinary = [(p, count) for p, count in counted if not p.origin]
        sleeping = [(p, count) for p, count in counted if p.origin]
        full = sum([count for _, count in ordinary]) >= self._limit
        pause, resume = self._decided(ordinary, full=full)
        more = self._decided(sleeping, full=False)
        return pause + more[0], resume + more[1]

    def _decided(self, counted: List[Tuple[Partition, int]], *, full: bool) -> Tuple[List[Partition], List[Partition]]:
        share = max(1, self._limit // max(1, len(counted)))
        pause = [p for p, count in counted if not p.paused and (full or p.held or count >= share)]
        resume = [p for p, count in counted if p.paused and not (full or p.held) and count <= share // 2]
        return pause, resume
