"""The snapshot as metrics: `supervisor.py metrics`, for a textfile collector or whatever scrapes by running a command, and the
HTTP part's `/metrics`. Pure: the names are told here once, each with its meaning.

Work is counted over all processes that ever were, and by topic; what is of one slot is of its present process, and has no
series while there is none.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Tuple, Type, Union

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric

from kafka_worker.ops.views.exposition import PLAIN, media_type, written
from kafka_worker.shared.ipc.health import Kind
from kafka_worker.shared.ipc.snapshot import (
    BUCKETS,
    BreakerReport,
    ChildReport,
    PartitionReport,
    Replaced,
    SlotReport,
    Snapshot,
    Waits,
)
from kafka_worker.shared.ipc.whole import reporting
from kafka_worker.shared.topic_settings import PATTERN

PREFIX = "kafka_worker_"
SLOT_STATES = ("starting", "running", "stopping", "aborting", "backoff")
BREAKER_STATES = ("closed", "half-open", "open")


class Named(NamedTuple):
    """A metric: what it is called, what it means, and how it is read from a report."""

    name: str  # without the prefix; one that ends in _total is a counter
    meaning: str
    value: Callable[[Any], Optional[float]]  # None: it is not known, and there is no series


def _known(number: float) -> Optional[float]:
    return None if number < 0 else number


def _committed(partition: PartitionReport) -> Optional[float]:
    return _known(partition.committed)


def _end(partition: PartitionReport) -> Optional[float]:
    return _known(partition.end)


def _lag(partition: PartitionReport) -> float:
    return max(0, partition.lag)


def _waited(partition: PartitionReport) -> float:
    return partition.head.seconds if partition.head else 0.0


def _pauses(partition: PartitionReport) -> Mapping[str, float]:
    breaker = partition.head is not None and partition.head.waits is Waits.BREAKER
    return {
        "backpressure": partition.paused and not (partition.held or partition.pause),
        "operator": bool(partition.pause),
        "held": bool(partition.held) and not breaker,
        "breaker": bool(partition.held) and breaker,
    }


def _waits(partition: PartitionReport) -> Mapping[str, float]:
    return {partition.head.waits.value: 1} if partition.head else {}


def _restarts(slot: SlotReport) -> Mapping[str, float]:
    return {reason.value: slot.restart_reasons.get(reason.value, 0) for reason in Replaced}


def _threads(child: ChildReport) -> Mapping[str, float]:
    return {"busy": child.busy, "idle": max(0.0, child.capacity - child.busy), "resting": child.resting}


def _longest(child: ChildReport) -> float:
    return max([task.seconds for task in child.tasks], default=0.0)


OF_SLOT = (Named("up", "Whether the slot has a process that works.", lambda slot: bool(slot.pid and slot.state == "running")),)
OF_CHILD = (
    Named("group_joined", "Whether the process has its place in the group.", lambda child: child.joined),
    Named("broker_reachable", "Whether a broker answers.", lambda child: not child.broker_away),
    Named("poll_age_seconds", "Since when the poll loop has not turned.", lambda child: child.poll_age),
    Named("commit_age_seconds", "Since when no commit was stored.", lambda child: _known(child.commit_age)),
    Named("longest_task_seconds", "For how long the longest running task runs.", _longest),
    Named("rebalances_total", "Times the group has told the process what is its.", lambda child: child.rebalances),
    Named("process_cpu_seconds_total", "Time of cores that the process has used.", lambda child: child.cpu_seconds),
    Named("process_open_fds", "Descriptors that the process has open.", lambda child: child.open_files or None),
    Named("process_resident_memory_bytes", "Memory of the process that is in RAM.", lambda child: child.rss or None),
)
OF_PARTITION = (
    Named("lag_messages", "Messages behind the committed offset, as of the last fetch.", _lag),
    Named("lag_seconds", "Age of the first message that is not done; 0: all is done.", lambda p: _known(p.lag_seconds)),
    Named("gap_messages", "Done, but behind one that is not, so that they can't be committed.", lambda p: p.done_beyond),
    Named("in_flight_messages", "Messages delivered that have no outcome yet.", lambda p: p.in_flight),
    Named("committed_offset", "The offset that the group has committed.", _committed),
    Named("end_offset", "Where the partition ends, as of the last fetch.", _end),
    Named("oldest_task_seconds", "For how long its commit waits for the same message.", _waited),
    Named("stalled", "Whether it stands still, with nothing that explains it.", lambda p: bool(p.stalled)),
)


class Several(NamedTuple):
    """A metric with a series for each of several words."""

    name: str
    meaning: str
    label: str  # what the words are
    values: Callable[[Any], Mapping[str, float]]  # by word


RESTARTS = Several("restarts_total", "Times the slot's process was replaced, by why.", "reason", _restarts)
THREADS = Several(
    "threads", "Calls that run at once, that could beside them, on average of late, and threads at rest.", "state", _threads
)
WAITS = Several("partition_waits", "1 for what the first message that is not done waits for.", "waits", _waits)
PAUSES = Several("partition_paused", "Whether nothing is fetched of it, or started, and by what.", "by", _pauses)


class Counted(NamedTuple):
    """Work, as the snapshot counts it."""

    what: str  # its name, without the prefix and _total
    meaning: str
    labels: Tuple[str, ...]  # how its topic and kind are called, as far as it has them
    kinds: Tuple[str, ...]  # that are there from the start, as what appears with its first count is no rise to Prometheus


WORK = (
    Counted("messages_received", "Messages that were fetched, again too.", ("topic",), ("",)),
    Counted("messages_sent", "Results, retries and dead letters that are stored, by where.", ("topic",), ()),
    Counted(
        "tasks",
        "Messages that have their outcome; dropped: their partition went away first.",
        ("topic", "outcome"),
        ("done", "dead_letter", "retry_topic", "parked", "dropped"),
    ),
    Counted("attempts_failed", "Attempts that raised, of partitions that stayed.", ("topic", "error"), ()),
    Counted(
        "dead_letters",
        "Dead letters that are stored.",
        ("topic", "reason"),
        ("attempts", "rejected", "invalid", "fatal", "death", "parked"),
    ),
    Counted("commits", "Commits by whether the broker has stored them.", ("result",), ("stored", "failed")),
)


#: Of what there are times, by topic.
TIMES = (
    ("handler", "How long calls of handlers took."),
    ("start_delay", "From when messages were produced to their first call."),
)
#: What waits now, by topic.
WAITING = (
    ("dead_letters_unstored", "Dead letters that could not be stored yet."),
    ("retries_waiting", "Tasks that wait for their next attempt."),
)
#: By the names that kafka_exporter has for the same.
AS_KAFKA_EXPORTER = (
    ("kafka_consumergroup_current_offset", "The offset that the group has committed.", _committed),
    ("kafka_consumergroup_lag", "Messages behind the committed offset.", _lag),
    ("kafka_topic_partition_current_offset", "Where the partition ends.", _end),
)


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
    yield _several(RESTARTS, "slot", (((str(slot.slot),), slot) for slot in slots))
    yield _several(THREADS, "slot", children)
    yield from (_family(named, ["topic", "partition"], partitions) for named in OF_PARTITION)
    yield _several(PAUSES, "topic partition", partitions)
    yield _several(WAITS, "topic partition", partitions)
    suspects = "Messages that ran when a process died and are not done yet."
    yield GaugeMetricFamily(PREFIX + "suspects", suspects, value=snapshot.totals.suspects)
    dropped = Named(
        "log_lines_dropped_total", "Lines of the log, and printed ones, that nobody has read.", lambda told: told.log_dropped
    )
    writers = [(("supervisor",), snapshot), *(((f"slot-{slot}",), child) for (slot,), child in children)]
    yield _family(dropped, ["process"], writers)
    opened = Named("breaker_opened_total", "Times the circuit breaker opened.", lambda breaker: breaker.opened_times)
    yield _family(opened, ["slot", "breaker"], breakers)
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


def _several(several: Several, labels: str, reports: Iterable[Tuple[Tuple[str, ...], Any]]) -> Metric:
    family = _kind(several.name)(PREFIX + several.name, several.meaning, labels=[*labels.split(), several.label])
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
