"""What the child says of itself in a heartbeat. Read by the main thread from plain fields that other threads write: a
number may be a moment old, never torn."""

from __future__ import annotations

import math
import os
import time
from typing import Callable, List, Tuple

from kafka_worker.loop import ConsumerLoop
from kafka_worker.partitions.task import Task
from kafka_worker.pools.thread_pool import BUCKETS, HandlerThread, Runner
from kafka_worker.shared.foreign.escaping import readable
from kafka_worker.shared.ipc.snapshot import ChildReport, Stage, TaskReport

RATE_SECONDS = 10.0
MOST_TASKS = 20  # in one report: the longest running ones


class Rate:
    """How fast a counter grows, in units a second: a moving average in which what is RATE_SECONDS old counts for a third."""

    def __init__(self, now: float) -> None:
        """Nothing has been counted at `now` (monotonic seconds)."""
        self._count = 0
        self._at = now
        self._sum = 0.0
        self._weight = 0.0  # of what was counted so far: a young average is not drawn to zero

    def update(self, count: int, now: float) -> float:
        """The counter stands at `count`; the rate."""
        elapsed = now - self._at
        if elapsed > 0:
            kept = math.exp(-elapsed / RATE_SECONDS)
            self._sum = kept * self._sum + (1 - kept) * (count - self._count) / elapsed
            self._weight = kept * self._weight + (1 - kept)
            self._count, self._at = count, now
        return self._sum / self._weight if self._weight else 0.0


def child_report(
    stage: Stage,
    pool: Runner,
    loop: ConsumerLoop,
    poll_age: float,
    rate: Rate,
    clock: Callable[[], float] = time.monotonic,
) -> ChildReport:
    """The heartbeat of this moment."""
    now = clock()
    stored, waiting = loop.dead_letters
    partitions = loop.partitions  # once: the consumer thread puts a new list in its place
    threads = [*pool.threads, *loop.quarantine_threads]
    done = sum(thread.done for thread in threads)
    return ChildReport(
        pid=os.getpid(),
        stage=stage,
        joined=loop.joined,
        broker_away=loop.broker_away,
        poll_age=poll_age,
        commit_age=loop.commit_age,
        done=done,
        rate=rate.update(done, now),
        failed=sum(thread.failed for thread in threads),
        retrying=loop.retrying,
        dead_letters=stored,
        dead_letters_waiting=waiting,
        dropped=loop.dropped + sum(thread.stale for thread in threads),
        suspects=loop.suspects,
        in_flight=sum(partition.in_flight for partition in partitions),
        busy_seconds=sum(thread.busy_seconds for thread in threads),
        histogram=[sum(thread.histogram[bucket] for thread in threads) for bucket in range(len(BUCKETS) + 1)],
        tasks=_longest(loop.running(), now),
        partitions=partitions,
        breakers=loop.breakers,
        trouble=loop.trouble,
    )


def _longest(running: List[Tuple[HandlerThread, Task]], now: float) -> List[TaskReport]:
    reports = [_task_report(thread, task, now) for thread, task in running]
    return sorted(reports, key=lambda report: -report.seconds)[:MOST_TASKS]


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
    )
