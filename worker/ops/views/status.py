"""The snapshot as text for a person in a hurry. Pure."""

from __future__ import annotations

from typing import Any, Callable, List, Sequence, Tuple

from kafka_worker.ops import orders
from kafka_worker.ops.explain import words
from kafka_worker.ops.tables import Columns, duration, in_brackets, key_of, table
from kafka_worker.shared.foreign.texts import counted
from kafka_worker.shared.ipc.snapshot import ChildReport, PartitionReport, Replaced, SlotReport, Snapshot, Stage, TaskReport
from kafka_worker.shared.system.memory import MEGABYTE

MOST_TASKS = 10
MOST_PARTITIONS = 16  # of one process


def text(snapshot: Snapshot) -> str:
    """The answer to `supervisor.py status`."""
    sums = snapshot.totals
    unknown = f" (not known of {counted(sums.lag_unknown, 'partition')})" if sums.lag_unknown else ""
    lines = [
        (
            f"{'DEGRADED' if snapshot.problems else 'HEALTHY'}  {snapshot.state}, up {duration(snapshot.uptime)}, "
            f"group {snapshot.group} on {snapshot.host}, topics {', '.join(snapshot.topics)}"
        ),
        (
            f"{counted(snapshot.processes, 'process')} x {_threads(snapshot)}, handler {snapshot.handler}, ordering "
            f"{snapshot.ordering}, membership {snapshot.membership}; restarts {snapshot.restarts}"
        ),
        (
            f"lag {sums.lag}{unknown}, in flight {sums.in_flight}, done {sums.done} ({sums.rate:.1f} per second"
            f"{_limit(snapshot)}), failed attempts {sums.failed}, waiting for a retry {sums.retrying}, "
            f"dead letters {sums.dead_letters}"
        )
        + (f", busy {snapshot.utilization:.0%}" if snapshot.utilization >= 0 else ""),
    ]
    lines += [f"  settings of {topic}: {own}" for topic, own in snapshot.topic_settings.items()]
    if sums.suspects:
        lines.append(f"suspects {sums.suspects}: ran when a process died, and are run apart, each alone")
    lines += ["  problem: " + problem for problem in snapshot.problems]
    lines += orders.in_lines(snapshot.orders)
    lines += _behind(snapshot.slots)
    lines += _replaced(snapshot.slots)
    lines += [f"  to be recycled: slot {slot}: {wish}" for slot, wish in _to_be_recycled(snapshot.slots)]
    return "\n".join([*lines, "", *table(SLOT_COLUMNS, snapshot.slots), "", *_running_tasks(snapshot.slots)])


def _limit(snapshot: Snapshot) -> str:
    """Beside how fast it is: who wonders why it is no faster, though threads are free, finds the reason."""
    most = snapshot.most_per_second
    return f", MAX_MESSAGES_PER_SECOND {most:g}: {snapshot.most_of_a_process:.3g} a process" if most else ""


def _threads(snapshot: Snapshot) -> str:
    lowest, highest = snapshot.threads, snapshot.threads_max
    return counted(lowest, "thread") if lowest >= highest else f"{lowest} to {highest} threads"


def _replaced(slots: Sequence[SlotReport]) -> List[str]:
    """Why processes were replaced so far, but for those that somebody wanted to be."""
    reasons = {slot.slot: ", ".join(_counted(slot)) for slot in slots}
    return [f"  replaced: slot {number}: {told}" for number, told in reasons.items() if told]


def _counted(slot: SlotReport) -> List[str]:
    whys = {Replaced.RECYCLED.value: f" (the last: {slot.recycled_for})" if slot.recycled_for else ""}
    counts = slot.restart_reasons.items()
    return [f"{count} {reason}{whys.get(reason, '')}" for reason, count in counts if reason != Replaced.ROLLED.value]


def _to_be_recycled(slots: Sequence[SlotReport]) -> List[Tuple[int, str]]:
    return [(slot.slot, slot.child.renew) for slot in slots if slot.child and slot.pid and slot.child.renew]


def _behind(slots: Sequence[SlotReport]) -> List[str]:
    """The partition that is furthest behind, and what of it everything behind waits for."""
    found = words.furthest_behind(slots)
    if found is None:
        return []
    slot, partition, head = found
    name, lag = f"{partition.topic}[{partition.partition}]", words.of_lag(partition)
    return [f"  furthest behind: {name}, lag {lag}: offset {words.known(head.offset)} {words.of_head(head, slot)}"]


def _running_tasks(slots: Sequence[SlotReport]) -> List[str]:
    running = [(slot, task) for slot in slots if slot.child and slot.pid for task in slot.child.tasks]
    if not running:
        return ["no task runs now"]
    return table(TASK_COLUMNS, sorted(running, key=lambda row: (row[1].void != "", -row[1].seconds))[:MOST_TASKS])


# ---- columns ----------------------------------------------------------------------------------------------------------


def _reported(read: Callable[[ChildReport], Any], otherwise: str = "0") -> Callable[[SlotReport], str]:
    """Of what the slot's process has said; `otherwise`: as long as it has said nothing."""
    return lambda slot: str(read(slot.child)) if slot.child else otherwise


def _stage(slot: SlotReport) -> str:
    if slot.state != "running" or slot.child is None:
        return slot.state
    is_joining = slot.child.stage is Stage.CONSUMING and not slot.child.joined
    return "joining" if is_joining else slot.child.stage.value


def _listed(child: ChildReport) -> str:
    """Of many those that are marked, and some of the others: a line that nobody can read tells nothing."""
    marks = sorted((each.topic, each.partition, _mark(each)) for each in child.partitions)
    shown = sorted(sorted(marks, key=lambda each: not each[2])[:MOST_PARTITIONS])
    more = f" and {len(marks) - len(shown)} more" if marks[len(shown) :] else ""
    return (" ".join(f"{topic}[{number}]{mark}" for topic, number, mark in shown) or "-") + more


def _lag(child: ChildReport) -> str:
    lags = [each.lag for each in child.partitions]
    return f"{sum(max(0, lag) for lag in lags)}{'+?' if any(lag < 0 for lag in lags) else ''}"


def _mark(partition: PartitionReport) -> str:
    if partition.pause:
        return "(paused by an operator)"
    return "(held)" if partition.held else "(stalled)" if partition.stalled else "(paused)" if partition.paused else ""


SLOT_COLUMNS: Columns = (
    ("SLOT", lambda slot: str(slot.slot)),
    ("PID", lambda slot: str(slot.pid or "-")),
    ("STATE", _stage),
    ("UP", lambda slot: duration(slot.uptime)),
    ("THREADS", _reported(lambda child: child.threads)),
    ("RSS MB", _reported(lambda child: f"{child.rss / MEGABYTE:.0f}")),
    ("DONE", _reported(lambda child: child.done)),
    ("PER SECOND", _reported(lambda child: f"{child.rate:.1f}", "0.0")),
    ("IN FLIGHT", _reported(lambda child: sum(each.in_flight for each in child.partitions))),
    ("LAG", _reported(_lag)),
    ("RESTARTS", lambda slot: str(slot.restarts)),
    ("LAST EXIT", lambda slot: slot.last_exit or "-"),
    ("PARTITIONS", _reported(_listed, "-")),
)


def _of_task(read: Callable[[TaskReport], str]) -> Callable[[Tuple[SlotReport, TaskReport]], str]:
    return lambda row: read(row[1])


TASK_COLUMNS: Columns = (
    ("RUNNING FOR", _of_task(lambda task: duration(task.seconds))),
    ("TASK", _of_task(lambda task: f"{task.topic}[{task.partition}] offset {task.offset}{in_brackets(task.void)}")),
    ("KEY", _of_task(lambda task: key_of(task.key))),
    ("ATTEMPT", _of_task(lambda task: str(task.attempt))),
    ("SLOT", lambda row: str(row[0].slot)),
    ("PID", lambda row: str(row[0].pid)),
    ("THREAD", _of_task(lambda task: task.thread)),
)
