"""What the snapshot says of one assigned partition. Consumer thread only: it asks the client for the partition's end."""

from __future__ import annotations

from typing import Callable, Tuple

from kafka_worker.partitions.assignment import Partition
from kafka_worker.shared.ipc.snapshot import PartitionReport


def partition_report(partition: Partition, end: Callable[[Tuple[str, int]], int], held: str = "") -> PartitionReport:
    """Of this moment. `end(name)` is the partition's end as the last fetch told, or -1;
    `held` says why nothing of it is started."""
    partition.end = max(partition.eof, end((partition.topic, partition.number)))
    # Before our first commit: what was committed before is where delivery began, and nothing is done below the watermark.
    since = partition.committed if partition.committed >= 0 else partition.tracker.watermark()
    return PartitionReport(
        topic=partition.topic,
        partition=partition.number,
        committed=partition.committed,
        watermark=partition.tracker.watermark(),
        end=partition.end,
        lag=max(0, partition.end - since) if min(since, partition.end) >= 0 else -1,
        in_flight=partition.tracker.in_flight,
        paused=partition.paused,
        held=partition.held or held,
    )
