"""The snapshot as Prometheus reads it."""

from __future__ import annotations

from typing import Any, Dict, Optional

from prometheus_client.parser import text_string_to_metric_families

from kafka_worker.ops import metrics

BREAKER = {"name": "payments", "state": "open", "opened_times": 2}
PARTITION = {"topic": "orders", "partition": 5, "lag": -1, "in_flight": 3, "paused": True, "held": "no room"}
CHILD = {
    "joined": True, "done": 10, "failed": 2, "dead_letters": 1, "dead_letters_waiting": 0, "retrying": 4, "suspects": 0,
    "in_flight": 3, "threads": 8, "busy_seconds": 1.5, "poll_age": 0.1, "rss": 40_000_000, "tasks": [{"seconds": 7.0}],
    "partitions": [PARTITION], "breakers": [BREAKER],
}  # fmt: skip


def snapshot(**changes: Any) -> Dict[str, Any]:
    slots = [{"slot": 0, "pid": 7, "restarts": 1, "child": CHILD}, {"slot": 1, "pid": 0, "restarts": 9, "child": CHILD}]
    about = dict.fromkeys(("group", "host", "handler", "ordering", "membership"), "x")
    return {**about, "problems": [], "slots": slots, **changes}


class Read:
    """The text, read again."""

    def __init__(self, of: Dict[str, Any]) -> None:
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


def test_health_is_that_of_status() -> None:
    assert Read(snapshot())("healthy") == 1
    assert Read(snapshot(problems=["slot 1: …"]))("healthy") == 0
