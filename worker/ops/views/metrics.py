"""The snapshot as metrics: `supervisor.py metrics`, for a textfile collector or whatever scrapes by running a command, and the
HTTP part's `/metrics`. Pure: `metric_tables` says which there are.

Work is counted over all processes that ever were, and by topic; what is of one slot is of its present process, and has no
series while there is none.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Tuple, Type, Union

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric

from kafka_worker.ops.views.exposition import PLAIN, media_type, written
from kafka_worker.ops.views.metric_tables import (
    AS_KAFKA_EXPORTER,
    BREAKER_OPENED,
    BREAKER_STATES,
    LOG_DROPPED,
    OF_CHILD,
    OF_PARTITION,
    OF_SLOT,
    PAUSES,
    PREFIX,
    RESTARTS,
    SLOT_STATES,
    THREADS,
    TIMES,
    WAITING,
    WAITS,
    WORK,
    Counted,
    Named,
    Several,
)
from kafka_worker.shared.ipc.health import Kind
from kafka_worker.shared.ipc.snapshot import BUCKETS, BreakerReport, PartitionReport, Snapshot
from kafka_worker.shared.ipc.sums import reporting
from kafka_worker.shared.topic_settings import PATTERN


def text(snapshot: Snapshot, also: str = "") -> str:
    """The whole snapshot, as Prometheus reads it. `also`: METRICS_ALSO."""
    return exposition(snapshot, PLAIN, also)[0].decode()


def exposition(snapshot: Snapshot, form: str, also: str = "") -> Tuple[bytes, str]:
    """The same as PLAIN text or as OPEN metrics, and the media type of it."""
    return written(families(snapshot, also), form), media_type(form)


def families(snapshot: Snapshot, also: str = "") -> Iterator[Metric]:
    """All metrics."""
    yield from _ours(snapshot)
    if also == "kafka_exporter":
        yield from _as_kafka_exporter(snapshot)


def _ours(snapshot: Snapshot) -> Iterator[Metric]:
    slots = snapshot.slots
    children = [((str(slot.slot),), slot.child) for slot in slots if slot.child and slot.pid]
    partitions = _partitions(snapshot)
    breakers = [((*labels, each.name), each) for labels, child in children for each in child.breakers]
    yield from _of_service(snapshot)
    yield from (_family(named, ["slot"], [((str(slot.slot),), slot) for slot in slots]) for named in OF_SLOT)
    yield from (_family(named, ["slot"], children) for named in OF_CHILD)
    yield _several(RESTARTS, ["slot"], (((str(slot.slot),), slot) for slot in slots))
    yield _several(THREADS, ["slot"], children)
    yield from (_family(named, ["topic", "partition"], partitions) for named in OF_PARTITION)
    yield _several(PAUSES, ["topic", "partition"], partitions)
    yield _several(WAITS, ["topic", "partition"], partitions)
    suspects = "Messages that ran when a process died and are not done yet."
    yield GaugeMetricFamily(PREFIX + "suspects", suspects, value=snapshot.totals.suspects)
    writers = [(("supervisor",), snapshot), *(((f"slot-{slot}",), child) for (slot,), child in children)]
    yield _family(LOG_DROPPED, ["process"], writers)
    yield _family(BREAKER_OPENED, ["slot", "breaker"], breakers)
    yield _states(breakers)
    yield from (_counted(counted, snapshot) for counted in WORK)
    yield from (_waiting(name, meaning, snapshot) for name, meaning in WAITING)
    yield from (_times(name, meaning, snapshot) for name, meaning in TIMES)


def _partitions(snapshot: Snapshot) -> List[Tuple[Tuple[str, ...], PartitionReport]]:
    return [((each.topic, str(each.partition)), each) for child in reporting(snapshot.slots) for each in child.partitions]


def _as_kafka_exporter(snapshot: Snapshot) -> Iterator[Metric]:
    for name, meaning, value in AS_KAFKA_EXPORTER:
        group = {"consumergroup": snapshot.group} if name.startswith("kafka_consumergroup") else {}
        family = GaugeMetricFamily(name, meaning, labels=[*group, "topic", "partition"])
        for labels, partition in _partitions(snapshot):
            number = value(partition)
            if number is not None:
                family.add_metric([*group.values(), *labels], number)
        yield family


def _of_service(snapshot: Snapshot) -> Iterator[Metric]:
    about = ("version", "python", "librdkafka", "group", "host", "handler", "ordering", "membership")
    software = {"version": snapshot.release, "python": snapshot.python}
    labels = {name: software[name] if name in software else str(getattr(snapshot, name)) for name in about}
    yield InfoMetricFamily(PREFIX.rstrip("_"), "Which service this is.", value=labels)
    yield GaugeMetricFamily(PREFIX + "healthy", "Whether nothing is wrong: see status.", value=not snapshot.problems)
    age = "Age of the oldest heartbeat that this was made of."
    yield GaugeMetricFamily(PREFIX + "snapshot_age_seconds", age, value=snapshot.age)
    if snapshot.utilization >= 0:
        busy = "Calls that run at once as a share of those that could, on average of late."
        yield GaugeMetricFamily(PREFIX + "utilization_ratio", busy, value=snapshot.utilization)
    kinds = Counter(condition.kind for condition in snapshot.conditions)
    yield _numbers(
        "problems", "What is wrong, by its kind: see status.", "kind", {kind.value: kinds[kind.value] for kind in Kind}
    )
    states = Counter(slot.state for slot in snapshot.slots)
    yield _numbers("slots", "Slots by the state of their processes.", "state", {state: states[state] for state in SLOT_STATES})


def _numbers(name: str, meaning: str, label: str, numbers: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, meaning, labels=[label])
    for value, number in numbers.items():
        family.add_metric([value], number)
    return family


def _counted(counted: Counted, snapshot: Snapshot) -> Metric:
    places = [(topic,) for topic in _topics(snapshot)] if counted.labels[0] == "topic" else [()]
    counts: Dict[Tuple[str, ...], float] = {_named(*place, kind): 0 for place in places for kind in counted.kinds}
    for each in snapshot.work:
        if each.what == counted.what:
            counts[_named(each.topic, each.kind)] = each.count
    family = CounterMetricFamily(PREFIX + counted.what, counted.meaning, labels=counted.labels)
    for labels, count in counts.items():
        family.add_metric(labels, count)
    return family


def _named(*labels: str) -> Tuple[str, ...]:
    """As far as it has them."""
    return tuple(filter(None, labels))


def _topics(snapshot: Snapshot) -> List[str]:
    """Those that are named; which there are by a pattern shows when something is done of them."""
    return [topic for topic in snapshot.topics if not topic.startswith(PATTERN)]


def _waiting(name: str, meaning: str, snapshot: Snapshot) -> Metric:
    waiting = dict.fromkeys(_topics(snapshot), 0.0)
    for child in reporting(snapshot.slots):
        for each in child.waiting:
            if each.what == name:
                waiting[each.topic] = waiting.get(each.topic, 0.0) + each.count
    return _numbers(name, meaning, "topic", waiting)


def _times(name: str, meaning: str, snapshot: Snapshot) -> Metric:
    family = HistogramMetricFamily(f"{PREFIX}{name}_seconds", meaning, labels=["topic"])
    calls = {(each.topic, each.kind): each.count for each in snapshot.work if each.what == f"{name}_calls"}
    for each in snapshot.work:
        if each.what == f"{name}_seconds":
            below = itertools.accumulate(calls.get((each.topic, bucket), 0) for bucket in BUCKETS)
            family.add_metric([each.topic], list(zip(BUCKETS, below)), each.count)
    return family


def _several(several: Several, labels: List[str], reports: Iterable[Tuple[Tuple[str, ...], Any]]) -> Metric:
    family = _kind(several.name)(PREFIX + several.name, several.meaning, labels=[*labels, several.label])
    for values, report in reports:
        for word, value in several.values(report).items():
            family.add_metric([*values, word], float(value))
    return family


def _family(named: Named, labels: List[str], reports: Iterable[Tuple[Tuple[str, ...], Any]]) -> Metric:
    family = _kind(named.name)(PREFIX + named.name, named.meaning, labels=labels)
    for values, report in reports:
        value = named.value(report)
        if value is not None:
            family.add_metric(values, float(value))
    return family


def _kind(name: str) -> Type[Union[CounterMetricFamily, GaugeMetricFamily]]:
    return CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily


def _states(breakers: Iterable[Tuple[Tuple[str, ...], BreakerReport]]) -> Metric:
    """One series a state, as Prometheus has it for what is one of several."""
    family = GaugeMetricFamily(
        PREFIX + "breaker_state", "1 for the state that the circuit breaker is in.", labels=["slot", "breaker", "state"]
    )
    for values, breaker in breakers:
        for state in BREAKER_STATES:
            family.add_metric([*values, state], float(breaker.state == state))
    return family
