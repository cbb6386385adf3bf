"""The snapshot as Prometheus reads it."""

from __future__ import annotations

import re
from typing import Any, Iterable, List, Optional

import pytest
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families

from kafka_worker.ops.views import exposition, metrics
from kafka_worker.ops.views.metric_tables import BREAKER_STATES, SLOT_STATES
from kafka_worker.shared.ipc.snapshot import HeadReport, Snapshot, Waits, WorkCount
from kafka_worker.supervision.children.child import ChildState
from tests.unit import reports
from tests.unit.ops.views import full
from tests.unit.reports import BREAKER, HELD, PARTITION, TASK, child, slot

CHILD = child(
    busy=3.0,
    capacity=4,
    resting=2,
    rebalances=3,
    waiting=[WorkCount("retries_waiting", "orders", "", 4)],
    tasks=[TASK._replace(seconds=7.0)],
    breakers=[BREAKER._replace(opened_times=2)],
    partitions=[HELD._replace(partition=5, lag=-1)],
)


def snapshot(**changes: Any) -> Snapshot:
    slots = [slot(0, child=CHILD, restarts=1), slot(1, child=CHILD, pid=0, restart_reasons={"crash": 9})]
    return reports.snapshot(*slots)._replace(**{"problems": [], **changes})


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
    assert [found("restarts_total", slot="1", reason=reason) for reason in ("crash", "rolled")] == [9, 0]
    assert [found("threads", slot="0", state=state) for state in ("busy", "idle", "resting")] == [3, 1, 2]
    assert [found("retries_waiting", topic=topic) for topic in ("orders", "returns")] == [4, 0]
    assert found("rebalances_total", slot="0") == 3
    assert found("poll_age_seconds", slot="1") is None  # what a dead process said last is out of date
    assert found("longest_task_seconds", slot="0") == 7
    assert (found("slots", state="running"), found("slots", state="backoff")) == (2, 0)


def test_work_is_that_of_the_whole_service_and_what_has_not_happened_yet_is_there_as_none() -> None:
    received, sent = WorkCount("messages_received", "orders", "", 12), WorkCount("messages_sent", "", "results", 5)
    done, stored = WorkCount("tasks", "orders", "done", 10), WorkCount("commits", "", "stored", 7)
    found = Read(snapshot(work=[received, sent, done, stored]))

    assert [found("tasks_total", topic="orders", outcome=outcome) for outcome in ("done", "dead_letter")] == [10, 0]
    assert found("dead_letters_total", topic="returns", reason="death") == 0
    assert found("attempts_failed_total", topic="orders", error="ValueError") is None  # who knows what users raise
    assert [found("commits_total", result=result) for result in ("stored", "failed")] == [7, 0]
    assert [found("messages_received_total", topic=topic) for topic in ("orders", "returns")] == [12, 0]
    assert found("messages_sent_total", topic="results") == 5


def test_times_of_calls_and_delays_before_the_first_are_histograms_by_topic() -> None:
    found = Read(full.snapshot())

    delays = [found("start_delay_seconds_bucket", topic="orders", le=bound) for bound in ("30.0", "60.0", "7200.0", "+Inf")]
    assert (delays, found("start_delay_seconds_sum", topic="orders")) == ([0, 14, 14, 14], 700)

    below = [found("handler_seconds_bucket", topic="orders", le=bound) for bound in ("0.1", "0.5", "1800.0", "+Inf")]
    assert below == [0, 9, 9, 10]
    assert (found("handler_seconds_count", topic="orders"), found("handler_seconds_sum", topic="orders")) == (10, 12.5)


def test_what_is_not_known_has_no_series() -> None:
    found = Read(snapshot())

    of = {"topic": "orders", "partition": "5"}
    assert found("lag_messages", **of) is None
    assert found("lag_seconds", **of) is None
    assert found("committed_offset", **of) == 100


@pytest.mark.parametrize(
    ("changes", "by"),
    [
        ({"paused": False, "held": ""}, []),
        ({"held": ""}, ["backpressure"]),
        ({"held": "", "pause": "the bank is away (ops@host)"}, ["operator"]),
        ({"head": full.HEAD}, ["held"]),
        ({"head": full.HEAD._replace(waits=Waits.BREAKER)}, ["breaker"]),
    ],
)
def test_a_pause_says_by_what(changes: Any, by: List[str]) -> None:
    found = Read(reports.snapshot(slot(0, child=child(partitions=[HELD._replace(**changes)]))))

    of = {"topic": "orders", "partition": "7"}
    assert [each for each in ("backpressure", "operator", "held", "breaker") if found("partition_paused", by=each, **of)] == by


def test_a_partition_that_two_processes_tell_of_has_one_series() -> None:
    old, new = (child(partitions=[HELD._replace(committed=committed)]) for committed in (140, 150))

    text = metrics.text(reports.snapshot(slot(0, child=new), slot(1, child=old)))

    assert [line for line in text.splitlines() if line.startswith("kafka_worker_committed_offset{")] == [
        'kafka_worker_committed_offset{partition="7",topic="orders"} 150.0'
    ]


def test_problems_are_counted_by_kind() -> None:
    found = Read(reports.snapshot(slot(0, child=child(partitions=[HELD]))))

    assert [found("problems", kind=kind) for kind in ("held", "stalled")] == [1, 0]


def test_slots_are_known_by_all_their_states() -> None:
    assert set(SLOT_STATES) == {*(state.value for state in ChildState), "backoff"}


def test_names_and_meanings_keep_the_rules_of_prometheus() -> None:
    """Those of `promtool check metrics`, which `make monitoring` asks itself."""
    for family in text_string_to_metric_families(metrics.text(full.snapshot())):
        assert family.documentation
        assert re.fullmatch(r"kafka_worker_[a-z][a-z_]*[a-z]", family.name)
        assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb|count|sum|bucket|gauge|counter)$", family.name)
        series = [(sample.name, *sorted(sample.labels.items())) for sample in family.samples]
        assert len(series) == len(set(series)) > 0, family.name


class Registry:
    """What prometheus-client asks."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> List[Metric]:
        return self._families


@pytest.mark.parametrize("form", [exposition.PLAIN, exposition.OPEN])
def test_the_text_is_to_the_letter_what_prometheus_client_writes(form: str) -> None:
    """Which takes three times as long, because it looks at each label of each of thousands of samples."""
    odd = full.snapshot()._replace(group='a"b\\c\nd, é', uptime=1e6, age=float("inf"))
    encode, _ = choose_encoder(form)

    assert metrics.exposition(odd, form, "kafka_exporter")[0] == encode(Registry(metrics.families(odd, "kafka_exporter")))


def test_a_circuit_breaker_is_in_one_state() -> None:
    found = Read(snapshot())

    states = {state: found("breaker_state", slot="0", breaker="payments", state=state) for state in BREAKER_STATES}
    assert states == {"open": 1, "half-open": 0, "closed": 0}
    assert found("breaker_opened_total", slot="0", breaker="payments") == 2


def test_lines_that_nobody_has_read_are_counted_for_each_process() -> None:
    found = Read(reports.snapshot(slot(0, child=child(log_dropped=7)))._replace(log_dropped=3))

    dropped = [found("log_lines_dropped_total", process=process) for process in ("supervisor", "slot-0")]
    assert dropped == [3, 7]


def test_by_the_names_of_kafka_exporter_lag_and_offsets_are_told_where_that_is_asked_for_only() -> None:
    told = {line for line in metrics.text(full.snapshot(), "kafka_exporter").splitlines() if line.startswith("kafka_")}
    ours = {line for line in metrics.text(full.snapshot()).splitlines() if line.startswith("kafka_")}

    assert {line for line in told - ours if '"5"' in line} == {
        'kafka_consumergroup_lag{consumergroup="workers",partition="5",topic="orders"} 120.0',
        'kafka_consumergroup_current_offset{consumergroup="workers",partition="5",topic="orders"} 100.0',
        'kafka_topic_partition_current_offset{partition="5",topic="orders"} 220.0',
    }
    assert all(line.startswith("kafka_worker_") for line in ours)


def test_health_is_that_of_status() -> None:
    assert Read(snapshot())("healthy") == 1
    assert Read(snapshot(problems=["slot 1: …"]))("healthy") == 0


def test_what_a_partition_waits_for_and_how_late_it_is_is_told_where_it_is_known() -> None:
    stuck = PARTITION._replace(head=HeadReport(120, Waits.RETRY, 5.0), lag_seconds=341.0, done_beyond=878)
    unknown = PARTITION._replace(partition=6)
    found = Read(reports.snapshot(slot(child=child(partitions=[stuck, unknown])), utilization=0.75, age=0.4))

    assert found("lag_seconds", topic="orders", partition="5") == 341
    assert found("gap_messages", topic="orders", partition="5") == 878
    assert found("partition_waits", topic="orders", partition="5", waits="retry") == 1
    assert found("lag_seconds", topic="orders", partition="6") is None
    assert (found("utilization_ratio"), found("snapshot_age_seconds")) == (0.75, 0.4)
    assert Read(reports.snapshot(slot()))("utilization_ratio") is None
