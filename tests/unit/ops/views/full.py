"""A snapshot in which everything that may be there is: whatever is named elsewhere must come out of it."""

from __future__ import annotations

from kafka_worker.ops.views import metrics
from kafka_worker.shared.ipc.snapshot import HeadReport, Snapshot, Waits, WorkCount
from tests.unit import reports
from tests.unit.reports import BREAKER, HELD, PARTITION, TASK, child, slot

HEAD = HeadReport(100, Waits.RUNNING, 754.0, "customer-9", 1_700_000_000.0, 2, 754.0, "handler-3")
WORK = [
    WorkCount("messages_received", "orders", "", 14),
    WorkCount("messages_sent", "", "results", 9),
    WorkCount("tasks", "orders", "done", 10),
    WorkCount("attempts_failed", "orders", "ValueError", 2),
    WorkCount("dead_letters", "orders", "death", 1),
    WorkCount("commits", "", "stored", 7),
    WorkCount("handler_seconds", "orders", "", 12.5),
    WorkCount("handler_calls", "orders", "0.5", 9),
    WorkCount("handler_calls", "orders", "+Inf", 1),
    WorkCount("start_delay_seconds", "orders", "", 700.0),
    WorkCount("start_delay_calls", "orders", "60.0", 14),
]
CHILD = child(
    cpu_seconds=12.5,
    rebalances=2,
    resting=1,
    waiting=[WorkCount("retries_waiting", "orders", "", 4), WorkCount("dead_letters_unstored", "orders", "", 1)],
    open_files=64,
    tasks=[TASK],
    breakers=[BREAKER],
    partitions=[PARTITION._replace(head=HEAD, lag_seconds=341.0, done_beyond=90), HELD],
)


def snapshot(slots: int = 1, partitions: int = 0) -> Snapshot:
    """`partitions`: so many over all slots, in place of the two that differ."""
    parts = [CHILD.partitions[0]._replace(partition=number) for number in range(partitions)]
    made = [slot(place, child=CHILD._replace(partitions=parts[place::slots] or CHILD.partitions)) for place in range(slots)]
    return reports.snapshot(*made, work=WORK, utilization=0.75, release="0.1.0", python="3.13.0", librdkafka="2.16.0")


if __name__ == "__main__":  # for promtool: see the Makefile
    print(metrics.text(snapshot()), end="")
