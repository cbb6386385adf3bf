"""An hour in small numbers."""

from __future__ import annotations

from typing import Any

import pytest

from kafka_worker.ops.serve.history import KEPT_SECONDS, STEP_SECONDS, History, quantile
from kafka_worker.shared.ipc.snapshot import HANDLER_SECONDS, ChildReport
from tests.unit import reports

NONE = [0] * (len(HANDLER_SECONDS) + 1)


def child(pid_offset: int = 0, **changes: Any) -> ChildReport:
    return reports.child(**{"histogram": NONE, "busy_seconds": 0.0, "done": 0, "failed": 0, **changes})


def added(history: History, at: float, *children: ChildReport, first_pid: int = 1000) -> None:
    slots = [reports.slot(number, child=each, pid=first_pid + number) for number, each in enumerate(children)]
    history.add(reports.snapshot(*slots), at, 1_000_000.0 + at)


def test_rates_are_those_between_two_points_over_all_processes() -> None:
    history = History()
    added(history, 0.0, child(done=100, failed=3), child(done=50))
    added(history, 5.0, child(done=120, failed=3, busy_seconds=8.0), child(done=55, failed=1, busy_seconds=2.0))

    found = history.as_json()
    assert found["at"] == [1_000_000.0, 1_000_005.0]
    assert found["done_per_second"] == [None, 5.0]
    assert found["failed_per_second"] == [None, 0.2]
    assert found["utilization"] == [None, 0.25]  # 10 s of 5 s with 2 x 4 threads
    assert found["lag_messages"] == [240, 240]


def test_a_process_that_took_anothers_place_never_makes_a_rate_negative() -> None:
    history = History()
    added(history, 0.0, child(done=1000))
    added(history, 5.0, child(done=10), first_pid=2000)

    assert history.as_json()["done_per_second"] == [None, 2.0]


def test_after_a_gap_no_rate_is_told_for_it() -> None:
    history = History()
    added(history, 0.0, child(done=0))
    added(history, 100.0, child(done=1000))
    added(history, 105.0, child(done=1005))

    assert history.as_json()["done_per_second"] == [None, None, 1.0]


def test_a_lag_that_is_not_known_is_not_counted_and_one_in_seconds_is_none() -> None:
    history = History()
    added(history, 0.0, child(partitions=[reports.PARTITION, reports.HELD.__class__("t", 1, -1, -1, -1, -1, 0, False, "")]))

    assert history.as_json()["lag_messages"] == [120]
    assert history.as_json()["lag_seconds"] == [None]


def test_latencies_are_those_of_the_calls_that_ended_meanwhile() -> None:
    history = History()
    before, after = list(NONE), list(NONE)
    before[0] = 1_000_000
    after[0], after[6] = 1_000_000, 100  # a hundred calls of half a second to a second
    added(history, 0.0, child(histogram=before))
    added(history, 5.0, child(histogram=after))

    found = history.as_json()
    assert found["calls"][1] == tuple(after[:6][:0] + [0] * 6 + [100] + [0] * 6)
    assert (found["p50"][1], found["p95"][1], found["p99"][1]) == (0.75, 0.975, 0.995)
    assert found["p50"][0] is None


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        (NONE, 0.5, None),
        ([*NONE[:-1], 5], 0.5, HANDLER_SECONDS[-1]),  # longer than the last bound: that is all that is known
        ([4, *NONE[1:]], 0.5, HANDLER_SECONDS[0] / 2),
        ([2, 2, *NONE[2:]], 1.0, HANDLER_SECONDS[1]),
    ],
)
def test_quantiles_are_reckoned_as_prometheus_does(counts: Any, share: float, expected: Any) -> None:
    assert quantile(counts, share) == expected


def test_a_point_is_due_every_five_seconds_and_an_hour_is_kept() -> None:
    history = History()
    assert history.due(0.0)
    for number in range(int(KEPT_SECONDS / STEP_SECONDS) + 10):
        added(history, number * STEP_SECONDS, child())

    assert not history.due(history._at + 4.9)
    assert history.due(history._at + 5.0)
    assert len(history.as_json()["at"]) == 720
    assert history.as_json()["at"][-1] - history.as_json()["at"][0] == KEPT_SECONDS - STEP_SECONDS
