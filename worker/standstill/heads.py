"""What the commit of each partition waits for: its head, the first message that is not done, and why that is not done. Found
when it is reported, among what runs, is queued or waits, so that it costs a message nothing. Consumer thread only.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from kafka_worker.outcomes.retry_topics import due_at
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task, attempt_of, followers_of, is_void, message_of, offset_of, partition_of
from kafka_worker.parts import Parts
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.shared.foreign.deliver_at import in_words as moment
from kafka_worker.shared.foreign.texts import readable
from kafka_worker.shared.ipc.snapshot import HeadReport, PartitionReport, Waits

Reported = Tuple[Partition, PartitionReport]
Wanted = Mapping[Partition, int]  # the offset of each

HANGS = "it has run for longer than HANDLER_KILL_SECONDS: its process is to be replaced"
APART = "apart, because it ran when a process died"
SHARE = "as many of its topic run as THREADS_SHARE allows"


class Spot(NamedTuple):
    """Where a message was found that is not done."""

    task: Task
    waits: Waits
    thread: Optional[HandlerThread] = None  # in which it runs
    due: Optional[float] = None  # monotonic seconds, of its next attempt
    why: str = ""


class Heads:
    """Looks for the heads of the partitions of one process."""

    def __init__(self, parts: Parts, wall: Callable[[], float] = time.time) -> None:
        """`wall`: seconds since 1970."""
        self._pool, self._quarantine = parts.pool, parts.quarantine
        self._gates, self._decisions = parts.gates, parts.decisions
        self._all_running, self._now = parts.settling.all_running, parts.ongoing.now
        self._wall = wall
        self._known: Dict[Partition, Tuple[HeadReport, float]] = {}  # as of the last look; since when it is the head

    def added_to(self, reported: List[Reported], now: float) -> List[Reported]:
        """The reports, with their heads, how old these are, and how much runs."""
        places = self.places({partition: report.watermark for partition, report in reported if report.in_flight})
        running = Counter(partition_of(self._now(task)) for _, task in self._all_running() if not is_void(task))
        found: List[Reported] = []
        known, self._known = self._known, {}
        for partition, report in reported:
            head = self._head(partition, report, places.get(partition), now)
            if head is not None:
                head = self._remembered(partition, head, known.get(partition), now)
                report = report._replace(head=head, lag_seconds=self._age(head), running=running[partition])  # noqa: PLW2901
            found.append((partition, report))
        return found

    def places(self, wanted: Wanted) -> Dict[Partition, Spot]:
        """Where these are, as far as they are anywhere: at most one look at whatever waits."""
        found: Dict[Partition, Spot] = {}
        for look in (self._queued, self._running, self._waiting):
            missing = {partition: offset for partition, offset in wanted.items() if partition not in found}
            if not missing:
                break
            found.update({partition_of(place.task): place for place in look(missing)})
        return found

    def of_offset(self, partition: Partition, offset: int, now: float) -> Optional[HeadReport]:
        """What becomes of any offset; None: it is done, or was before. For somebody who asks, and so without haste."""
        if offset >= partition.tracker.next_offset:
            return self._remote(partition, offset)
        watermark = partition.tracker.watermark()
        if offset < watermark or partition.tracker.is_done(offset):
            return None
        place = self.places({partition: offset}).get(partition) or self._deep(partition, offset)
        return self._described(place, now) if place else HeadReport(offset, _unfound(partition), 0.0, why=partition.flow.wrong)

    def _remote(self, partition: Partition, offset: int) -> HeadReport:
        flow, first = partition.flow, partition.flow.first
        at_hand = first is not None and offset < flow.end
        usual = Waits.PAUSED if flow.paused or at_hand else Waits.UNDELIVERED
        waits, why = (Waits.HELD, flow.wrong) if flow.wrong else self._shut_out(partition) or (usual, "")
        return HeadReport(offset, waits, 0.0, why=why)

    def _deep(self, partition: Partition, offset: int) -> Optional[Spot]:
        """Behind others, in the queue or in a lane."""
        for task in partition.queue.listed():
            if offset_of(task) == offset:
                waits, why = self._of_queue(partition)
                return Spot(task, waits, why=why)
        waiting = partition.lanes.find(offset)
        return None if waiting is None else Spot(waiting, Waits.BEHIND_ITS_KEY)

    # ---- where it may be ------------------------------------------------------------------------------------------

    def _queued(self, wanted: Wanted) -> Iterator[Spot]:
        """First, because what is taken from a queue meanwhile is found running then."""
        for partition, offset in wanted.items():
            task = partition.queue.find(offset)
            if task is not None:
                waits, why = self._of_queue(partition)
                yield Spot(task, waits, why=why)

    def _of_queue(self, partition: Partition) -> Tuple[Waits, str]:
        """What a message in its queue waits for."""
        topic = partition.queue.topic
        short = SHARE if self._pool.share_is_full(topic) else ""
        if not short and self._gates.rate and not self._pool.full(topic):
            short = f"MAX_MESSAGES_PER_SECOND lets no more than {self._gates.rate:g} a second begin in this process"
        return self._shut_out(partition) or (Waits.QUEUED, short)

    def _shut_out(self, partition: Partition) -> Optional[Tuple[Waits, str]]:
        """Why nothing of it is started, if nothing is."""
        if partition.closing.closed:
            return Waits.LEAVING, ""
        if partition.flow.suspended:
            return Waits.OPERATOR, partition.flow.suspended
        why = self._gates.why(partition)
        return (Waits.HELD if self._gates.unrouted(partition) else Waits.BREAKER, why) if why else None

    def _running(self, wanted: Wanted) -> Iterator[Spot]:
        for thread, called in self._all_running():
            task = self._now(called)
            if wanted.get(partition_of(task)) == offset_of(task) and not is_void(called):
                apart = thread in self._quarantine.threads
                yield Spot(task, Waits.RUNNING, thread, why=HANGS if thread.hangs(called) else APART if apart else "")

    def _waiting(self, wanted: Wanted) -> Iterator[Spot]:
        for task, due, at in self._decisions.retries(wanted):
            waits, why = (Waits.RETRY, "") if at is None else (Waits.SCHEDULED, moment(at))
            yield Spot(task, waits, due=due, why=why)
        for task, refused in self._decisions.unsent(wanted):
            why = partition_of(task).flow.wrong or self._decisions.behind(task)
            yield Spot(task, Waits.UNSTORED if refused else Waits.SENDING, why=why)
        elsewhere = (
            (self._gates.aside(), Waits.BREAKER),
            (self._quarantine.in_line(), Waits.SUSPECT),
            (self._pool.kept_back.copy(), Waits.LEAVING),
        )
        for tasks, waits in elsewhere:
            for task in tasks:
                partition = partition_of(task)
                if wanted.get(partition) == offset_of(task):
                    why = self._gates.why(partition) if waits is Waits.BREAKER else partition.flow.suspended
                    yield Spot(task, waits, why=why)

    # ---- what is told of it ---------------------------------------------------------------------------------------

    def _head(self, partition: Partition, report: PartitionReport, place: Optional[Spot], now: float) -> Optional[HeadReport]:
        if place is not None:
            return self._described(place, now)
        if report.in_flight:
            return HeadReport(report.watermark, _unfound(partition), 0.0, why=partition.flow.wrong)
        return self._undelivered(partition, report.end)

    def _undelivered(self, partition: Partition, end: int) -> Optional[HeadReport]:
        """Nothing is in flight: what comes next, if there is something."""
        flow, first = partition.flow, partition.flow.first
        offset = flow.unread_at if flow.unread else partition.read_to
        if not flow.unread and first is None and end <= max(0, offset):
            return None
        usual = Waits.PAUSED if flow.paused or first is not None else Waits.UNDELIVERED
        held = flow.wrong or flow.unread
        waits, why = (Waits.HELD, held) if held else self._shut_out(partition) or (usual, "")
        if first is None:
            return HeadReport(offset, waits, 0.0, why=why)
        return self._of_message(first, first.offset(), partition, waits, 1, why)

    def _described(self, place: Spot, now: float) -> HeadReport:
        task, thread = place.task, place.thread
        message, attempt, partition = message_of(task), int(attempt_of(task)), partition_of(task)
        return self._of_message(message, offset_of(task), partition, place.waits, attempt, place.why)._replace(
            running=max(0.0, now - thread.started) if thread else -1.0,
            thread=thread.name if thread else "",
            due_in=-1.0 if place.due is None else max(0.0, place.due - now),
            followers=followers_of(task),
        )

    def _of_message(self, message: Any, offset: int, partition: Partition, waits: Waits, attempt: int, why: str) -> HeadReport:
        milliseconds = message.timestamp()[1]
        timestamp = milliseconds / 1000 if milliseconds > 0 else -1.0
        due = due_at(message, partition.retries_of, scheduled=self._decisions.sleeping.by_header)
        return HeadReport(offset, waits, 0.0, readable(message.key()), timestamp, attempt, why=why, due_at=due)

    def _remembered(
        self, partition: Partition, head: HeadReport, known: Optional[Tuple[HeadReport, float]], now: float
    ) -> HeadReport:
        """Since when it is the head, and what was known of it when it was seen last."""
        before, since = known if known and known[0].offset == head.offset else (head, now)
        if not head.attempt:
            head = head._replace(key=before.key, timestamp=before.timestamp, due_at=before.due_at, attempt=before.attempt)
        self._known[partition] = head, since
        seconds = now - since
        if head.due_at > head.timestamp:  # until then nobody waits for it
            seconds = min(seconds, max(0.0, self._wall() - head.due_at))
        return head._replace(seconds=seconds)

    def _age(self, head: HeadReport) -> float:
        """Seconds; a clock that is ahead of ours makes nothing younger than new. -1: it is not known."""
        return -1.0 if head.due_at <= 0 else max(0.0, self._wall() - head.due_at)


def _unfound(partition: Partition) -> Waits:
    """What is in flight, and neither runs nor waits in this process."""
    if partition.closing.closed:
        return Waits.LEAVING
    if partition.flow.in_transit:
        return Waits.UNSTORED if partition.flow.wrong else Waits.SENDING
    return Waits.UNSEEN
