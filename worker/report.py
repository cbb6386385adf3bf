"""What the child says of itself in a heartbeat. The main thread makes it from what the consumer thread published last, and
from plain fields that handler threads write: a number may be a moment old, but never torn."""

from __future__ import annotations

import contextlib
import math
import os
import time
from dataclasses import dataclass, field
from typing import Callable, Counter, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from kafka_worker.partitions.task import Task, why_void
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.pools.times import TimesByTopic
from kafka_worker.shared import logs
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.foreign.texts import readable
from kafka_worker.shared.ipc.snapshot import (
    BUCKETS,
    BreakerReport,
    ChildReport,
    LossReport,
    ParkedReport,
    PartitionReport,
    Stage,
    TaskReport,
    WorkCount,
)

RATE_SECONDS = 10.0
MOST_TASKS = 20  # in one report: the longest running ones


@dataclass(frozen=True)
class LoopReport:
    """What the consumer thread says of itself: made by it twice a second, and whenever somebody waits to hear of it."""

    joined: bool = False  # the group has given us an assignment, even an empty one
    broker_away: bool = False  # no broker answers
    unsettled_at: Optional[float] = None  # monotonic seconds since when the group rebalances; None: it does not
    ending: Optional[ExitCode] = None  # why the process has to end, if the consumer thread has found that itself
    cut_off: Tuple[str, ...] = ()  # what the drain deadline interrupted
    committed_at: float = -1.0  # monotonic seconds of the last commit that the broker has acknowledged; -1: none yet
    failed: int = 0  # attempts
    retrying: int = 0  # tasks waiting for their next attempt
    dead_letters: int = 0  # stored
    dead_letters_waiting: int = 0  # to be sent again
    waiting: List[WorkCount] = field(default_factory=list)  # both, by topic
    rebalances: int = 0  # how often the group has told us what is ours
    dropped: int = 0  # messages that were delivered and not started, because their partition went away
    suspects: int = 0  # that wait for their turn, or run
    trouble: str = ""  # what keeps us from running tasks; empty: nothing
    missing_topics: Sequence[str] = ()  # of those that we have subscribed to
    partitions: List[PartitionReport] = field(default_factory=list)
    breakers: List[BreakerReport] = field(default_factory=list)
    parked: List[ParkedReport] = field(default_factory=list)
    lost: List[LossReport] = field(default_factory=list)
    orders_known: int = 0  # by which of those that it was told of it goes, in `parked` too
    work: List[WorkCount] = field(default_factory=list)  # but for what handler threads count themselves


class Average:
    """Of what has a level at any time: a moving average in which what is RATE_SECONDS old counts for a third."""

    def __init__(self, now: float) -> None:
        """Nothing is known before `now` (monotonic seconds)."""
        self._at = now
        self._sum = 0.0
        self._weight = 0.0  # of what was seen so far: a young average is not drawn to zero

    def update(self, level: float, now: float) -> float:
        """It was at this level since the last update; the average."""
        kept = math.exp(-max(0.0, now - self._at) / RATE_SECONDS)
        self._sum = kept * self._sum + (1 - kept) * level
        self._weight = kept * self._weight + (1 - kept)
        self._at = max(self._at, now)
        return self._sum / self._weight if self._weight else 0.0


class Rate:
    """How fast a counter grows, in units a second, on average of late."""

    def __init__(self, now: float) -> None:
        """Nothing has been counted at `now` (monotonic seconds)."""
        self._count = 0
        self._at = now
        self._average = Average(now)

    def update(self, count: int, now: float) -> float:
        """The counter stands at `count`; the rate."""
        elapsed = now - self._at
        grown = (count - self._count) / elapsed if elapsed > 0 else 0.0
        if elapsed > 0:
            self._count, self._at = count, now
        return self._average.update(grown, now)


class Use:
    """How many calls run at once, and how many could, both on average of late: what THREADS=auto has changed meanwhile counts
    for as long as it was so."""

    def __init__(self, now: float) -> None:
        """Nothing is known before `now` (monotonic seconds)."""
        self._busy, self._capacity = Average(now), Average(now)

    def update(self, busy: int, capacity: int, now: float) -> Dict[str, float]:
        """So it was since the last update; the fields of a heartbeat. What still runs although it may not any more could."""
        return {"busy": self._busy.update(busy, now), "capacity": self._capacity.update(max(busy, capacity), now)}


def child_report(
    stage: Stage,
    loop: LoopReport,
    threads: Sequence[HandlerThread],
    running: Iterable[Tuple[HandlerThread, Task]],
    poll_age: float,
    rate: Rate,
    clock: Callable[[], float] = time.monotonic,
) -> ChildReport:
    """The heartbeat of this moment. `threads` are those of all pools, `running` is what runs in them now."""
    now, lost = clock(), logs.lost()
    done = sum(thread.done for thread in threads)
    return ChildReport(
        pid=os.getpid(),
        stage=stage,
        joined=loop.joined,
        broker_away=loop.broker_away,
        unsettled=0.0 if loop.unsettled_at is None else now - loop.unsettled_at,
        poll_age=poll_age,
        commit_age=-1.0 if loop.committed_at < 0 else now - loop.committed_at,
        done=done,
        rate=rate.update(done, now),
        failed=loop.failed,
        retrying=loop.retrying,
        dead_letters=loop.dead_letters,
        dead_letters_waiting=loop.dead_letters_waiting,
        waiting=loop.waiting,
        rebalances=loop.rebalances,
        dropped=loop.dropped + sum(thread.stale for thread in threads),
        suspects=loop.suspects,
        in_flight=sum(partition.in_flight for partition in loop.partitions),
        tasks=_longest(running, now),
        partitions=loop.partitions,
        breakers=loop.breakers,
        parked=loop.parked,
        orders_known=loop.orders_known,
        lost=loop.lost,
        trouble=loop.trouble,
        missing_topics=list(loop.missing_topics),
        log_dropped=lost.dropped,
        log_untold=lost.untold,
        work=[
            *_done(threads),
            *_times("handler", [thread.times for thread in threads]),
            *_times("start_delay", [thread.delays for thread in threads]),
            *loop.work,
        ],
        cpu_seconds=time.process_time(),
        open_files=_open_files(),
    )


def _done(threads: Sequence[HandlerThread]) -> Iterator[WorkCount]:
    done: Counter[str] = Counter()
    for thread in threads:
        done.update(thread.done_of.copy())
    yield from (WorkCount("tasks", topic, "done", count) for topic, count in done.items())


def _times(what: str, of_threads: Iterable[TimesByTopic]) -> Iterator[WorkCount]:
    seconds: Dict[str, float] = {}
    counts: Counter[Tuple[str, str]] = Counter()
    for of_thread in of_threads:
        for topic, times in of_thread.copy().items():
            seconds[topic] = seconds.get(topic, 0.0) + times.seconds
            counts.update({(topic, bucket): count for bucket, count in zip(BUCKETS, times.counts) if count})
    yield from (WorkCount(f"{what}_seconds", topic, "", total) for topic, total in seconds.items())
    yield from (WorkCount(f"{what}_calls", topic, bucket, count) for (topic, bucket), count in counts.items())


def _open_files() -> int:
    """Descriptors; 0 where the kernel does not tell. 70 us for a hundred."""
    with contextlib.suppress(OSError):
        return len(os.listdir("/proc/self/fd")) - 1  # that of the folder itself
    return 0


def _longest(running: Iterable[Tuple[HandlerThread, Task]], now: float) -> List[TaskReport]:
    reports = [_task_report(thread, task, now) for thread, task in running]
    return sorted(reports, key=lambda report: (report.void != "", -report.seconds))[:MOST_TASKS]


def _task_report(thread: HandlerThread, task: Task, now: float) -> TaskReport:
    offset, _segment, message, _lane, attempt, partition = task
    return TaskReport(
        topic=partition.topic,
        partition=partition.number,
        offset=offset,
        key=readable(message.key()),
        attempt=attempt,
        thread=thread.name,
        seconds=max(0.0, now - thread.started),
        void=why_void(task),
    )
