"""What the messages in flight weigh, so that large ones are bounded by bytes as all are by number. Consumer thread only; not
there at all without a MEMORY_LIMIT.

A weight is expressed as the number of messages that may be in flight instead of it: so back-pressure knows one measure only.
"""

from __future__ import annotations

from typing import Any, Iterable, List, Tuple

from worker.assignment import Partition

OVERHEAD = 500  # bytes that a message costs beside its value: its objects, its key, its task


class Weights:
    """Of one process."""

    def __init__(self, most_bytes: int, max_in_flight: int) -> None:
        """`most_bytes` in flight count as much as `max_in_flight` messages."""
        self._bytes = most_bytes
        self._messages = max_in_flight
        self._largest = 0

    def note(self, partition: Partition, batch: Iterable[Any]) -> None:
        """These messages were just taken."""
        for message in batch:
            weight = len(message) + OVERHEAD
            partition.tracker.weigh(message.offset(), weight)
            self._largest = max(self._largest, weight)

    def counted(self, counts: List[Tuple[Partition, int]]) -> List[Tuple[Partition, int]]:
        """The numbers in flight; larger ones where the messages weigh more than so many may. One that is heavier than all that
        may be in flight goes through, alone."""
        if 2 * len(counts) * self._largest * sum([count for _, count in counts]) < self._bytes:
            return counts  # below half a partition's share, even if all were as large as the largest
        return [(p, max(count, -(-p.tracker.weight * self._messages // self._bytes))) for p, count in counts]
