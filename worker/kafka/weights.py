"""What the messages in flight weigh, so that large ones are bounded by bytes as all are by number. Consumer thread only; not
there at all without a MEMORY_LIMIT.

A weight is expressed as the number of messages that may be in flight instead of it: so back-pressure knows one measure only.
"""

from __future__ import annotations

from typing import Any, Iterable, List

from kafka_worker.kafka.backpressure import Load
from kafka_worker.partitions.assignment import Partition

OVERHEAD = 500  # bytes that a message costs beside its value: its objects, its key, its task


class Weights:
    """Of one process."""

    def __init__(self, most_bytes: int, max_in_flight: int) -> None:
        """`most_bytes` in flight count as much as `max_in_flight` messages."""
        self._bytes = most_bytes
        self._messages = max_in_flight
        self._largest = 0
        self._last = 0  # bytes, of whichever partition

    def note(self, partition: Partition, batch: Iterable[Any]) -> None:
        """These messages were just taken."""
        for message in batch:
            weight = len(message) + OVERHEAD
            partition.tracker.weigh(message.offset(), weight)
            self._largest = max(self._largest, weight)
            self._last = weight

    def weighed(self, loads: List[Load]) -> List[Load]:
        """The same with larger numbers, where the messages weigh more than so many may."""
        if 2 * len(loads) * self._largest * sum([number for _, number, _, _ in loads]) < self._bytes:
            return loads  # below what each partition may have in any case, even if all were as large as the largest
        return [self._weighed(partition, number) for partition, number, _, _ in loads]

    def _weighed(self, partition: Partition, number: int) -> Load:
        """The next message is likely to weigh as much as its partition's last one, or that of whichever partition."""
        tracker = partition.tracker
        step = max(1, self._as_messages(tracker.last_weight or self._last))
        return partition, number, max(number, self._as_messages(tracker.weight)), step

    def _as_messages(self, weight: int) -> int:
        return -(-weight * self._messages // self._bytes)
