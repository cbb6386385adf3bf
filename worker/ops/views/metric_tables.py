"""Which metrics there are: each name once, with its meaning, and how it is read from the snapshot's reports. Pure."""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple, Optional, Tuple

from kafka_worker.shared.ipc.snapshot import ChildReport, PartitionReport, Replaced, SlotReport, Waits

PREFIX = "kafka_worker_"
SLOT_STATES = ("starting", "running", "stopping", "aborting", "exited", "backoff")
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


def _lag(partition: PartitionReport) -> Optional[float]:
    return _known(partition.lag)


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
    return max([task.seconds for task in child.tasks if not task.void], default=0.0)


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
LOG_DROPPED = Named(
    "log_lines_dropped_total", "Lines of the log, and printed ones, that nobody has read.", lambda told: told.log_dropped
)
BREAKER_OPENED = Named("breaker_opened_total", "Times the circuit breaker opened.", lambda breaker: breaker.opened_times)


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
    Counted("messages_lost", "Messages that were gone before they were done, at most.", ("topic",), ("",)),
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
