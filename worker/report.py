"""What the child says of itself in a heartbeat. Read by the main thread from plain fields that other threads write: a
number may be a moment old, never torn."""

from __future__ import annotations

import os
import time
from typing import Callable, List, Optional

from service.snapshot import ChildReport, Stage, TaskReport
from worker.lanes import Task
from worker.loop import ConsumerLoop
from worker.pool import BUCKETS, HandlerThread, Pool

MOST_TASKS = 20  # in one report: the longest running ones


def child_report(
    stage: Stage, pool: Pool, loop: ConsumerLoop, poll_age: float, clock: Callable[[], float] = time.monotonic
) -> ChildReport:
    """The heartbeat of this moment."""
    now = clock()
    stored, waiting = loop.dead_letters
    threads = pool.threads
    return ChildReport(
        pid=os.getpid(),
        stage=stage,
        joined=loop.joined,
        broker_away=loop.broker_away,
        poll_age=poll_age,
        commit_age=loop.commit_age,
        done=sum(thread.done for thread in threads),
        failed=sum(thread.failed for thread in threads),
        retrying=loop.retrying,
        dead_letters=stored,
        dead_letters_waiting=waiting,
        dropped=loop.dropped + sum(thread.stale for thread in threads),
        in_flight=sum(partition.in_flight for partition in loop.partitions),
        busy_seconds=sum(thread.busy_seconds for thread in threads),
        histogram=[sum(thread.histogram[bucket] for thread in threads) for bucket in range(len(BUCKETS) + 1)],
        tasks=_longest(pool, now),
        partitions=loop.partitions,
    )


def _longest(pool: Pool, now: float) -> List[TaskReport]:
    reports = [_task_report(thread, task, now) for thread, task in pool.running()]
    return sorted(reports, key=lambda report: -report.seconds)[:MOST_TASKS]


def _task_report(thread: HandlerThread, task: Task, now: float) -> TaskReport:
    offset, segment, message, _lane, attempt = task
    return TaskReport(
        topic=segment.partition.topic,
        partition=segment.partition.number,
        offset=offset,
        key=_readable(message.key()),
        attempt=attempt,
        thread=thread.name,
        seconds=max(0.0, now - thread.started),
    )


def _readable(key: Optional[bytes]) -> Optional[str]:
    """A key for human eyes: any bytes, never too long."""
    return None if key is None else key[:100].decode("utf-8", errors="backslashreplace")
