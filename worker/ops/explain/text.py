"""What is told of a partition to somebody who asks why its commit stands still: one paragraph, from what the snapshot and its
process say. Pure."""

from __future__ import annotations

import os
from typing import Any, List, Sequence

from kafka_worker.ops import orders
from kafka_worker.ops.explain import words
from kafka_worker.ops.explain.cases import Case
from kafka_worker.ops.explain.words import SAID, known, of_lag
from kafka_worker.ops.tables import duration, key_of
from kafka_worker.shared.foreign.texts import counted
from kafka_worker.shared.ipc.snapshot import HeadReport, Waits

STALE_SECONDS = 2.0  # a heartbeat older than that is told
MOST_AT_REST = 3  # partitions, where there are no others
MOST_CALLS = 6  # of a stack: the outermost of the handler, and the innermost


def paragraphs(cases: Sequence[Case]) -> str:
    """One of each, but for those of which nothing waits, where there are others, or many. What is wrong with the processes of
    these is told in any case: it may be why nothing is known to wait."""
    quiet = [case for case in cases if not case.tells]
    told, rest = [case for case in cases if case.tells], quiet
    if not told:
        told, rest = quiet[:MOST_AT_REST], quiet[MOST_AT_REST:]
    if not rest:
        return "\n\n".join(map(paragraph, told))
    shown = {problem for case in told for problem in case.problems}
    more = dict.fromkeys(problem for case in rest for problem in case.problems if problem not in shown)
    others = [
        f"{counted(len(rest), 'more partition')} of {rest[0].partition.topic}: nothing there waits",
        *(f"  {each}" for each in more),
    ]
    return "\n\n".join([*map(paragraph, told), "\n".join(others)])


def paragraph(case: Case) -> str:
    """All of it."""
    lines = [_first(case), *_of_sought(case), *_behind(case), f"  lag {of_lag(case.partition)}"]
    if case.partition.pause:
        lines.append(f"  paused by an operator: {case.partition.pause}")
    lines += orders.in_lines(case.orders)
    if case.slot.heartbeat_age > STALE_SECONDS:
        lines.append(f"  as of {duration(case.slot.heartbeat_age)} ago: its process says nothing since")
    lines += [f"  {problem}" for problem in case.problems]
    return "\n".join([*lines, *_let_go(case)])


def _first(case: Case) -> str:
    partition, head, slot = case.partition, case.partition.head, case.slot
    where = f"{case.name} (slot {slot.slot}, pid {slot.pid})"
    if head is None:
        if partition.watermark > partition.committed >= 0:
            return f"{where}: all is done; committed {partition.committed}, of {partition.watermark}"
        rests = "it stands still" if partition.stalled else "nothing of it waits"
        return f"{where}: {rests}; committed {known(partition.committed)}"
    since = f"committed {known(partition.committed)}, for {duration(head.seconds)}"
    return f"{where}: {since}: offset {known(head.offset)} {SAID[head.waits]}"


def _of_sought(case: Case) -> List[str]:
    head = case.sought
    if case.is_to_come:
        return [f"  {case.offset}: is not there yet, the partition ends at {case.partition.end}"]
    if head is None:
        if case.offset is None:
            return []
        return [f"  {case.offset}: {'done' if 'sought' in case.answer else 'not known, as its process does not say'}"]
    why = [f"    {head.why}"] if head.why else []
    return [f"  {known(head.offset)}: {SAID[head.waits]}{_details(head)}{_where(case, head)}", *why]


def _details(head: HeadReport) -> str:
    parts = [
        f"for {duration(head.running)}" if head.running >= 0 else "",
        f"due in {duration(head.due_in)}" if head.due_in >= 0 else "",
        f"attempt {head.attempt}" if head.attempt else "",
        f"key {key_of(head.key)}" if head.key is not None else "",
        f"in {head.thread}" if head.thread else "",
    ]
    told = ", ".join(filter(None, parts))
    return f" {told}" if head.running >= 0 else f", {told}" if told else ""


def _where(case: Case, head: HeadReport) -> str:
    """Where its code is, if it runs."""
    calls = [task["calls"] for task in case.calls(head.offset) if task["calls"]]
    return f": {path_of(calls[0])}" if calls else ""


def path_of(calls: List[List[Any]]) -> str:
    """A stack in one line: `tasks.py:88 charge > ssl.py:1166 read`."""
    shown = [f"{os.path.basename(file)}:{line} {name}" for file, line, name, _ in calls]
    if len(shown) > MOST_CALLS:
        shown = [*shown[: MOST_CALLS // 2], "...", *shown[-MOST_CALLS // 2 :]]
    return " > ".join(shown)


def _behind(case: Case) -> List[str]:
    partition, head = case.partition, case.partition.head
    followers = head.followers if head else 0
    behind = partition.in_flight - followers - (head is not None)
    queued = min(partition.queued - (head is not None and head.waits is Waits.QUEUED), behind)
    others = behind - queued
    parts = [
        f"{partition.done_beyond} done (they do not run again)" if partition.done_beyond else "",
        f"{queued} queued for a thread" if queued > 0 else "",
        words.of_followers(followers) if followers else "",
        f"{others} more in flight" if others > 0 else "",
    ]
    told = ", ".join(filter(None, parts))
    it = "it" if case.offset is None or head is None or case.offset == head.offset else known(head.offset)
    return [f"  behind {it}: {told}"] if told else []


def _let_go(case: Case) -> List[str]:
    stalled = [f"  stalled: {case.partition.stalled}"] if case.partition.stalled else []
    return [*stalled, *(f"  {'or' if number else 'let go'}: {line}" for number, line in enumerate(case.let_go))]
