"""What counts as healthy. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Dict, Iterable, Iterator, List, Tuple

from kafka_worker.shared.foreign.texts import counted
from kafka_worker.shared.ipc.snapshot import (
    BreakerReport,
    ChildReport,
    Condition,
    LossReport,
    PartitionReport,
    SlotReport,
    Snapshot,
    Stage,
)
from kafka_worker.shared.system.memory import MEGABYTE

MOST_REASONS = 5  # why partitions stand still, that are told of one process
LONGEST_REBALANCE = 15.0  # seconds; it takes one or two, and as long as members finish what runs
ROLLING = "rolling"
WORKING = "running", ROLLING  # states of a supervisor whose service does its work
STOPPING = "stopping"
LONGEST_POLL_AGE = 5.0  # seconds; the loop turns ten times a second
MINUTES_FROM = 120.0  # seconds: what is longer is told in minutes
CRASH_LOOP = 4  # deaths; a message that kills costs two, and another may follow it


class Kind(str, Enum):
    """What is not well, in a word that programs can go by."""

    SUPERVISOR = "supervisor"  # it does not run its service: it starts or stops
    NO_PROCESS = "no-process"
    CRASH_LOOP = "crash-loop"  # the processes of a slot die one after the other
    ROLL = "roll"  # a rolling restart, or a recycling, could not be done
    NOT_RUNNING = "not-running"  # the process starts or ends
    NO_HEARTBEAT = "no-heartbeat"
    POLL_LOOP = "poll-loop"
    NO_BROKER = "no-broker"
    SEAT_TAKEN = "seat-taken"
    NOT_JOINED = "not-joined"
    REBALANCE = "rebalance"  # one that does not end
    OVERSIZED = "oversized"
    TROUBLE = "trouble"  # something keeps it from running tasks
    TOPIC_MISSING = "topic-missing"  # one that the service consumes
    UNSTORED = "dead-letters-unstored"
    LOST = "messages-lost"  # they were gone before they were done
    HELD = "held"
    STALLED = "stalled"  # partitions that stand still, with nothing that explains it
    BREAKER = "breaker"
    LOG = "log"  # nobody reads it, and lines are missing
    ORDERS = "orders"  # those of operators can't be read, or kept
    FILES = "files"  # a folder of the service's does not answer
    HTTP = "http"  # it is not served, though it should be


Found = Iterator[Tuple[Kind, str]]


def conditions(state: str, slots: Iterable[SlotReport], log_untold: int = 0) -> List[Condition]:
    """Why the service is not well; none: healthy. `log_untold` is of the supervisor's own log."""
    found = [] if state in WORKING else [Condition(Kind.SUPERVISOR.value, None, f"the supervisor is {state}")]
    if log_untold:
        found.append(Condition(Kind.LOG.value, None, f"the supervisor: {_unread(log_untold)}"))
    of_slots = list(slots)
    found += [Condition(Kind.TOPIC_MISSING.value, None, text) for text in _missing(of_slots)]
    for slot in of_slots:
        if state == STOPPING and not slot.pid:  # it has ended in order, and nobody comes after it
            continue
        takes_over = state == ROLLING and slot.child is not None and slot.child.stage is Stage.WAITING
        told = (each for each in _of_slot(slot) if not (takes_over and each[0] in (Kind.SEAT_TAKEN, Kind.NOT_JOINED)))
        found += [Condition(kind.value, slot.slot, f"slot {slot.slot}: {text}") for kind, text in told]
    return found


def _missing(slots: Iterable[SlotReport]) -> List[str]:
    """Each topic once, though all processes say so."""
    names = {name for slot in slots if slot.pid and slot.child for name in slot.child.missing_topics}
    return list(map(no_topic, sorted(names)))


def no_topic(name: str) -> str:
    """That it is missing."""
    return f"there is no topic {name}: check says how to make it, and what comes to it is consumed then"


def _of_slot(slot: SlotReport) -> Found:
    if slot.outgrown_within >= 0:
        within = f"the last within {slot.outgrown_within:.0f} s"
        told = f"each process outgrows its share of MEMORY_LIMIT, {within}: recycled ever more seldom"
        yield Kind.OVERSIZED, told
    last = f"last: {slot.last_exit}{slot.last_why}"
    if slot.failures >= CRASH_LOOP:
        yield Kind.CRASH_LOOP, f"{slot.failures} processes died one after the other, none was well for a minute ({last})"
    if not slot.pid:
        yield Kind.NO_PROCESS, f"no process, next start in {max(0.0, slot.restart_in):.1f} s ({last})"
    elif slot.state != "running" or slot.child is None:
        goes = slot.successor_pid or slot.retiring  # its work soon goes on elsewhere
        if slot.state != "stopping" or not goes:
            yield Kind.NOT_RUNNING, f"process {slot.pid} is {slot.state}{slot.at}"
            if slot.child and slot.child.trouble:
                yield Kind.TROUBLE, slot.child.trouble
    else:
        if slot.heartbeat_age > LONGEST_POLL_AGE:
            yield Kind.NO_HEARTBEAT, f"no heartbeat for {slot.heartbeat_age:.1f} s"
        yield from _of_child(slot.child)
        yield from _standing(slot.child.partitions)
        yield from _breakers(slot.child.breakers)


def _of_child(child: ChildReport) -> Found:
    if child.poll_age > LONGEST_POLL_AGE:
        yield Kind.POLL_LOOP, f"its poll loop has not turned for {child.poll_age:.1f} s"
    if child.broker_away:
        yield Kind.NO_BROKER, "no broker answers"
    if child.stage is Stage.WAITING and child.seat_holder and not child.trouble:
        yield Kind.SEAT_TAKEN, f"waits for the slot's former process, {child.seat_holder}, to end"
    elif not child.joined and (child.stage is Stage.CONSUMING or (child.stage is Stage.WAITING and not child.trouble)):
        yield Kind.NOT_JOINED, "not in the group yet"
    if child.unsettled > LONGEST_REBALANCE:
        yield Kind.REBALANCE, f"a rebalance of the group has not ended for {child.unsettled:.0f} s: it waits for some member"
    if child.oversized:
        megabytes = child.rss / MEGABYTE
        yield Kind.OVERSIZED, f"uses more than its share of MEMORY_LIMIT right after its start: {int(megabytes)} MB"
    if child.trouble:
        yield Kind.TROUBLE, child.trouble
    if child.log_untold:
        yield Kind.LOG, _unread(child.log_untold)
    for loss in child.lost[:MOST_REASONS]:
        yield Kind.LOST, _gone(loss)
    if child.lost[MOST_REASONS:]:
        more = sum(loss.count for loss in child.lost[MOST_REASONS:])
        places = counted(len(child.lost[MOST_REASONS:]), "more partition")
        yield Kind.LOST, f"likewise gone: {counted(more, 'message')} of {places} (events)"
    if child.dead_letters_waiting:
        yield Kind.UNSTORED, f"{counted(child.dead_letters_waiting, 'dead letter')} can't be stored"


def _gone(loss: LossReport) -> str:
    return f"{lost(loss)}, as was found {ago(loss.seconds)}: retention was quicker, or somebody has deleted them"


def lost(loss: LossReport) -> str:
    """What was lost, and where."""
    where = f"offset {loss.first}" if loss.first == loss.last else f"offsets {loss.first} to {loss.last}"
    what = f"{counted(loss.count, 'message')} of {loss.topic}[{loss.partition}], at {where},"
    return f"{what} was gone before it was done" if loss.count == 1 else f"{what} were gone before they were done"


def _standing(partitions: Iterable[PartitionReport]) -> Found:
    """One line a reason: what holds one holds many, as a rule."""
    ordered = sorted(partitions, key=lambda each: each.name)
    yield from _by_reason(Kind.HELD, "held", [(each, each.held) for each in ordered if each.held])
    yield from _by_reason(Kind.STALLED, "stalled", [(each, each.stalled) for each in ordered if each.stalled])


def _by_reason(kind: Kind, how: str, found: List[Tuple[PartitionReport, str]]) -> Found:
    reasons: Dict[str, List[str]] = {}
    for partition, why in found:
        reasons.setdefault(why, []).append(f"{partition.topic}[{partition.partition}]")
    for why, names in list(reasons.items())[:MOST_REASONS]:
        more = f" and {len(names) - 1} more" if names[1:] else ""
        yield kind, f"{names[0]}{more + ' are' if more else ' is'} {how}: {why}"
    rest = sum(map(len, list(reasons.values())[MOST_REASONS:]))
    if rest:
        yield kind, f"{rest} more {'is' if rest == 1 else 'are'} {how}, for other reasons (status --json)"


def _unread(lines: int) -> str:
    return f"nobody reads its log, or what handlers print: {counted(lines, 'line')} missing"


def ago(seconds: float) -> str:
    """How long ago something was that may go on for hours."""
    return f"{seconds:.0f} s ago" if seconds < MINUTES_FROM else f"{seconds / 60:.0f} minutes ago"


def _breakers(reports: Iterable[BreakerReport]) -> Found:
    for breaker in reports:
        if breaker.state != "closed":
            probe = f", next probe in {breaker.probe_in:.1f} s" if breaker.probe_in >= 0 else ""
            longer = breaker.seconds_unwell > breaker.seconds_in_state + 1
            closed = f", and was last closed {ago(breaker.seconds_unwell)}" if longer else ""
            last = f", the last by {breaker.last_error}" if breaker.last_error else ""
            text = (
                f"circuit breaker of {breaker.name} is {breaker.state} for {breaker.seconds_in_state:.1f} s{closed} "
                f"(share {breaker.failed_share:.2f} of {breaker.calls} calls failed{last}){probe}"
            )
            yield Kind.BREAKER, text


def one_line(snapshot: Snapshot) -> str:
    """How the service is, in one line for `systemctl status`."""
    sums = snapshot.totals
    return (
        f"{snapshot.state}: {sums.running}/{snapshot.processes} processes, {counted(sums.partitions, 'partition')}, "
        f"lag {sums.lag}{'+?' if sums.lag_unknown else ''}, in flight {sums.in_flight}, restarts {snapshot.restarts}"
        f"{'; degraded: ' + snapshot.problems[0] if snapshot.problems else ''}"
    )
