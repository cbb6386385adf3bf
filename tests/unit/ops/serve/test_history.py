"""An hour in small numbers."""

from __future__ import annotations

from typing import Any, List

import pytest

from kafka_worker.ops.serve.history import KEPT_SECONDS, STEP_SECONDS, History, quantile
from kafka_worker.shared.ipc.snapshot import BOUNDS, BUCKETS, PartitionReport, WorkCount
from tests.unit import reports

NONE = [0] * len(BUCKETS)


def done(count: int, failed: int = 0, topic: str = "orders") -> List[WorkCount]:
    return [WorkCount("tasks", topic, "done", count), WorkCount("attempts_failed", topic, "ValueError", failed)]


def added(history: History, at: float, *work: WorkCount, **changes: Any) -> None:
    history.add(reports.snapshot(reports.slot(0), reports.slot(1), work=work, **changes), at, 1_000_000.0 + at)


def test_rates_are_those_between_two_points_over_all_work_and_the_rest_is_as_the_snapshot_says() -> None:
    history = History()
    added(history, 0.0, *done(100, 3), *done(50, topic="returns"))
    added(history, 5.0, *done(120, 3), *done(55, 1, topic="returns"), utilization=0.25)

    found = history.as_json()
    assert found["at"] == [1_000_000.0, 1_000_005.0]
    assert found["done_per_second"] == [None, 5.0]
    assert found["failed_per_second"] == [None, 0.2]
    assert found["utilization"] == [None, 0.25]
    assert found["lag_messages"] == [120, 120]  # of one partition, of which two processes tell


def test_a_service_that_was_started_anew_never_makes_a_rate_negative() -> None:
    history = History()
    added(history, 0.0, *done(1000))
    added(history, 5.0, *done(10))

    assert history.as_json()["done_per_second"] == [None, 2.0]


def test_after_a_gap_no_rate_is_told_for_it() -> None:
    history = History()
    added(history, 0.0, *done(0))
    added(history, 100.0, *done(1000))
    added(history, 105.0, *done(1005))

    assert history.as_json()["done_per_second"] == [None, None, 1.0]


def test_a_lag_that_is_not_known_is_not_counted_and_one_in_seconds_is_none() -> None:
    history = History()
    unknown = PartitionReport("t", 1, -1, -1, -1, -1, 0, paused=False, held="")
    slot = reports.slot(0, child=reports.child(partitions=[reports.PARTITION, unknown]))
    history.add(reports.snapshot(slot), 0.0, 1_000_000.0)

    assert history.as_json()["lag_messages"] == [120]
    assert history.as_json()["lag_seconds"] == [None]


def test_while_no_lag_is_known_none_is_told_and_not_that_there_is_none() -> None:
    """As for some seconds after each start: a chart that falls to nothing then would say that all is done."""
    unknown = reports.PARTITION._replace(lag=-1, lag_seconds=-1.0)
    history = History()

    history.add(reports.snapshot(reports.slot(child=reports.child(partitions=[unknown]))), 0.0, 1_000_000.0)
    history.add(reports.snapshot(reports.slot(child=reports.child(partitions=[unknown._replace(lag=0)]))), 5.0, 1_000_005.0)

    assert history.as_json()["lag_messages"] == [None, 0]


def test_latencies_are_those_of_the_calls_that_ended_meanwhile() -> None:
    history = History()
    before = WorkCount("handler_calls", "orders", "0.001", 1_000_000)
    added(history, 0.0, before)
    added(history, 5.0, before, WorkCount("handler_calls", "orders", "1.0", 100))  # each of half a second to a second

    found = history.as_json()
    assert found["calls"][1] == tuple(100 if bucket == "1.0" else 0 for bucket in BUCKETS)
    assert (found["p50"][1], found["p95"][1], found["p99"][1]) == (0.75, 0.975, 0.995)
    assert found["p50"][0] is None


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        (NONE, 0.5, None),
        ([*NONE[:-1], 5], 0.5, BOUNDS[-1]),  # longer than the last bound: that is all that is known
        ([4, *NONE[1:]], 0.5, BOUNDS[0] / 2),
        ([2, 2, *NONE[2:]], 1.0, BOUNDS[1]),
    ],
)
def test_quantiles_are_reckoned_as_prometheus_does(counts: Any, share: float, expected: Any) -> None:
    assert quantile(counts, share) == expected


def test_a_point_is_due_every_five_seconds_and_an_hour_is_kept() -> None:
    history = History()
    assert history.due(0.0)
    for number in range(int(KEPT_SECONDS / STEP_SECONDS) + 10):
        added(history, number * STEP_SECONDS)

    assert not history.due(history._at + 4.9)
    assert history.due(history._at + 5.0)
    assert len(history.as_json()["at"]) == 720
    assert history.as_json()["at"][-1] - history.as_json()["at"][0] == KEPT_SECONDS - STEP_SECONDS
