"""Reports of a service that is well; a test changes what it is about."""

from __future__ import annotations

from typing import Any, Sequence

from kafka_worker.shared.ipc import health, sums
from kafka_worker.shared.ipc.snapshot import (
    BreakerReport,
    ChildReport,
    PartitionReport,
    SlotReport,
    Snapshot,
    Stage,
    TaskReport,
    WorkCount,
)

TASK = TaskReport("orders", 5, 4711, "customer-9", 2, "handler-3", 754.0)
PARTITION = PartitionReport("orders", 5, 100, 100, 220, lag=120, in_flight=3, paused=False, held="")
HELD = PARTITION._replace(partition=7, paused=True, held="no room")
BREAKER = BreakerReport("payments", "open", 0.95, 40, opened_times=1, seconds_in_state=12.0, probe_in=3.0)
CHILD = ChildReport(
    pid=1000, stage=Stage.CONSUMING, joined=True, broker_away=False, poll_age=0.1, commit_age=0.2, done=10, rate=2.5, failed=1,
    retrying=0, dead_letters=0, dead_letters_waiting=0, dropped=0, suspects=0, in_flight=3, partitions=(PARTITION,), threads=4,
    rss=40_000_000,
)  # fmt: skip
SLOT = SlotReport(
    slot=0, state="running", pid=1000, uptime=61.0, heartbeat_age=0.4, restarts=0, last_exit=None, restart_in=-1.0,
    successor_pid=0, child=CHILD,
)  # fmt: skip


def child(**changes: Any) -> ChildReport:
    return CHILD._replace(**changes)


def slot(number: int = 0, **changes: Any) -> SlotReport:
    return SLOT._replace(**{"slot": number, "pid": 1000 + number, **changes})


def snapshot(*given: SlotReport, state: str = "running", work: Sequence[WorkCount] = (), **changes: Any) -> Snapshot:
    slots = sums.each_partition_once(list(given))
    conditions = health.conditions(state, slots)
    made = Snapshot(
        version=1, state=state, host="host-a", pid=999, uptime=3725.0, group="workers", topics=("orders", "returns"),
        handler="m:f", ordering="key", membership="static", processes=len(slots), threads=4, threads_max=4, restarts=2,
        problems=tuple(each.text for each in conditions), slots=tuple(slots), conditions=tuple(conditions), work=tuple(work),
        totals=sums.totals(slots, work),
    )  # fmt: skip
    return made._replace(**changes)
