"""The snapshot as metrics: `supervisor.py metrics`, for a textfile collector or whatever scrapes by running a command, and the
HTTP part's `/metrics`. Pure: the names are told here once, each with its meaning.

Counters are those of a slot's present process and begin anew with the next, which `rate()` knows how to read.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable, Iterator, List, NamedTuple, Tuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from kafka_worker.shared.ipc.snapshot import BreakerReport, ChildReport, SlotReport, Snapshot

PREFIX = "kafka_worker_"
PLAIN, OPEN = "text/plain", "application/openmetrics-text"
BREAKER_STATES = ("closed", "half-open", "open")


class Named(NamedTuple):
    """A metric: what it is called, what it means, and how it is read from a report."""

    name: str  # without the prefix; one that ends in _total is a counter
    meaning: str
    value: Callable[[Any], float]


def _joined(slot: SlotReport) -> bool:
    return bool(slot.pid and slot.child and slot.child.joined)


def _longest(child: ChildReport) -> float:
    return max([task.seconds for task in child.tasks], default=0.0)


OF_SLOT = (
    Named("restarts_total", "Times the slot's process was replaced after it had ended.", lambda slot: slot.restarts),
    Named("up", "Whether the slot's process runs and has its place in the group.", _joined),
)
OF_CHILD = (
    Named("tasks_done_total", "Tasks whose handler returned.", lambda child: child.done),
    Named("attempts_failed_total", "Attempts that raised, of partitions that stayed.", lambda child: child.failed),
    Named("dead_letters_total", "Dead letters that are stored.", lambda child: child.dead_letters),
    Named("dead_letters_unstored", "Dead letters that could not be stored yet.", lambda child: child.dead_letters_waiting),
    Named("retrying", "Tasks that wait for their next attempt.", lambda child: child.retrying),
    Named("suspects", "Messages that ran when a process died and are not done yet.", lambda child: child.suspects),
    Named("in_flight", "Messages delivered that have no outcome yet.", lambda child: child.in_flight),
    Named("threads", "Handler threads that may run tasks.", lambda child: child.threads),
    Named("busy_seconds_total", "Time spent in handlers, of all threads together.", lambda child: child.busy_seconds),
    Named("longest_task_seconds", "For how long the longest running task runs.", _longest),
    Named("poll_age_seconds", "Since when the poll loop has not turned.", lambda child: child.poll_age),
    Named("resident_bytes", "Memory of the process that is in RAM.", lambda child: child.rss),
)
OF_PARTITION = (
    Named("lag", "Messages behind the committed offset, as of the last fetch.", lambda partition: max(0, partition.lag)),
    Named("gap_messages", "Offsets done behind one that is not: they can't be committed yet.", lambda p: p.done_beyond),
    Named("partition_in_flight", "Messages of the partition without an outcome.", lambda partition: partition.in_flight),
    Named("partition_paused", "Whether fetching is stopped.", lambda partition: partition.paused),
    Named("partition_stalled", "Whether it stands still, with nothing that explains it.", lambda p: bool(p.stalled)),
    Named("partition_held", "Whether nothing is started or fetched until a cause is gone.", lambda p: bool(p.held)),
)


def text(snapshot: Snapshot) -> str:
    """The whole snapshot, as Prometheus reads it."""
    return exposition(snapshot, PLAIN)[0].decode()


def exposition(snapshot: Snapshot, form: str) -> Tuple[bytes, str]:
    """The same as PLAIN text or as OPEN metrics, and the media type of it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(list(_families(snapshot))))
    encode, media_type = choose_encoder(form)
    return encode(registry), media_type


class _Collector:
    """What prometheus-client asks for metrics that were read elsewhere."""

    def __init__(self, families: List[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _families(snapshot: Snapshot) -> Iterator[Metric]:
    slots = snapshot.slots
    children = [((str(slot.slot),), slot.child) for slot in slots if slot.child and slot.pid]
    partitions = [((p.topic, str(p.partition)), p) for _, child in children for p in child.partitions]
    breakers = [((*labels, each.name), each) for labels, child in children for each in child.breakers]
    about = {name: str(getattr(snapshot, name)) for name in ("group", "host", "handler", "ordering", "membership")}
    yield InfoMetricFamily(PREFIX + "service", "Which service this is.", value=about)
    yield GaugeMetricFamily(PREFIX + "snapshot_age_seconds", "Age of the oldest heartbeat in it.", value=snapshot.age)
    if snapshot.utilization >= 0:
        yield GaugeMetricFamily(
            PREFIX + "utilization_ratio", "Share of the calls that could run at once that does.", value=snapshot.utilization
        )
    yield GaugeMetricFamily(PREFIX + "healthy", "Whether nothing is wrong: see status.", value=not snapshot.problems)
    yield from (_family(named, ["slot"], [((str(slot.slot),), slot) for slot in slots]) for named in OF_SLOT)
    yield from (_family(named, ["slot"], children) for named in OF_CHILD)
    yield from (_family(named, ["topic", "partition"], partitions) for named in OF_PARTITION)
    late = Named("lag_seconds", "Age of the first message that is not done, by its timestamp.", lambda p: p.lag_seconds)
    yield _family(late, ["topic", "partition"], [each for each in partitions if each[1].lag_seconds >= 0])
    waits = Named("partition_waits", "1 for what the first message that is not done waits for.", lambda _: True)
    heads = [((*labels, p.head.waits.value), p.head) for labels, p in partitions if p.head]
    yield _family(waits, ["topic", "partition", "waits"], heads)
    dropped = Named(
        "log_lines_dropped_total", "Lines of the log, and printed ones, that nobody has read.", lambda told: told.log_dropped
    )
    writers = [(("supervisor",), snapshot), *(((f"slot-{slot}",), child) for (slot,), child in children)]
    yield _family(dropped, ["process"], writers)
    opened = Named("breaker_opened_total", "Times the circuit breaker opened.", lambda breaker: breaker.opened_times)
    yield _family(opened, ["slot", "breaker"], breakers)
    yield _states(breakers)


def _family(named: Named, labels: List[str], reports: Iterable[Tuple[Tuple[str, ...], Any]]) -> Metric:
    kind = CounterMetricFamily if named.name.endswith("_total") else GaugeMetricFamily
    family = kind(PREFIX + named.name, named.meaning, labels=labels)
    for values, report in reports:
        family.add_metric(values, float(named.value(report)))
    return family


def _states(breakers: Iterable[Tuple[Tuple[str, ...], BreakerReport]]) -> Metric:
    """One series a state, as Prometheus has it for what is one of several."""
    family = GaugeMetricFamily(
        PREFIX + "breaker_state", "1 for the state that the circuit breaker is in.", labels=["slot", "breaker", "state"]
    )
    for values, breaker in breakers:
        for state in BREAKER_STATES:
            family.add_metric([*values, state], float(breaker.state == state))
    return family
