"""The snapshot as Prometheus reads it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

from prometheus_client.parser import text_string_to_metric_families

from kafka_worker.ops import metrics
from kafka_worker.shared.ipc.snapshot import HeadReport, Snapshot, Waits
from tests.unit import reports
from tests.unit.reports import BREAKER, HELD, PARTITION, TASK, child, slot

CHILD = child(
    failed=2, dead_letters=1, retrying=4, tasks=[replace(TASK, seconds=7.0)], breakers=[replace(BREAKER, opened_times=2)],
    partitions=[replace(HELD, partition=5, lag=-1)],
)  # fmt: skip


def snapshot(**changes: Any) -> Snapshot:
    slots = [slot(0, child=CHILD, restarts=1), slot(1, child=CHILD, pid=0, restarts=9)]
    return replace(reports.snapshot(*slots), **{"problems": [], **changes})


class Read:
    """The text, read again."""

    def __init__(self, of: Snapshot) -> None:
        families = text_string_to_metric_families(metrics.text(of))
        self._samples = {(each.name, frozenset(each.labels.items())): each.value for one in families for each in one.samples}

    def __call__(self, name: str, **labels: str) -> Optional[float]:
        """None: there is no such series."""
        return self._samples.get(("kafka_worker_" + name, frozenset(labels.items())))


def test_each_slot_is_counted_and_one_without_a_process_is_down() -> None:
    found = Read(snapshot())

    assert (found("up", slot="0"), found("up", slot="1")) == (1, 0)
    assert (found("restarts_total", slot="0"), found("restarts_total", slot="1")) == (1, 9)
    assert found("tasks_done_total", slot="0") == 10
    assert found("tasks_done_total", slot="1") is None  # what a dead process said last is out of date
    assert found("longest_task_seconds", slot="0") == 7


def test_a_lag_that_is_not_known_yet_is_none_and_a_held_partition_says_so() -> None:
    found = Read(snapshot())

    assert found("lag", topic="orders", partition="5") == 0
    assert found("partition_held", topic="orders", partition="5") == 1


def test_a_circuit_breaker_is_in_one_state() -> None:
    found = Read(snapshot())

    states = {state: found("breaker_state", slot="0", breaker="payments", state=state) for state in metrics.BREAKER_STATES}
    assert states == {"open": 1, "half-open": 0, "closed": 0}
    assert found("breaker_opened_total", slot="0", breaker="payments") == 2


def test_lines_that_nobody_has_read_are_counted_for_each_process() -> None:
    found = Read(replace(reports.snapshot(slot(0, child=child(log_dropped=7))), log_dropped=3))

    dropped = [found("log_lines_dropped_total", process=process) for process in ("supervisor", "slot-0")]
    assert dropped == [3, 7]


def test_health_is_that_of_status() -> None:
    assert Read(snapshot())("healthy") == 1
    assert Read(snapshot(problems=["slot 1: …"]))("healthy") == 0


def test_what_a_partition_waits_for_and_how_late_it_is_is_told_where_it_is_known() -> None:
    stuck = replace(PARTITION, head=HeadReport(120, Waits.RETRY, 5.0), lag_seconds=341.0, done_beyond=878)
    unknown = replace(PARTITION, partition=6)
    found = Read(reports.snapshot(slot(child=child(partitions=[stuck, unknown])), utilization=0.75, age=0.4))

    assert found("lag_seconds", topic="orders", partition="5") == 341
    assert found("gap_messages", topic="orders", partition="5") == 878
    assert found("partition_waits", topic="orders", partition="5", waits="retry") == 1
    assert found("lag_seconds", topic="orders", partition="6") is None
    assert (found("utilization_ratio"), found("snapshot_age_seconds")) == (0.75, 0.4)
    assert Read(reports.snapshot(slot()))("utilization_ratio") is None
