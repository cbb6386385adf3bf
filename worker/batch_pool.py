"""Handler threads that take lists of messages. A thread takes what may run now of one partition's queue, up to BATCH_SIZE, and
never waits for more: a lone message is not kept back, and under load the lists grow by themselves, because messages gather
while handlers work. (Waiting for a fuller list would be a delay for every message at low load, and hold offsets back.)

A batch holds at most one message of a lane, because a queue does.
"""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from typing import Any, Callable, List, Sequence, Tuple

from worker import completion
from worker.batch import Alone, BatchCall, Failures, alone
from worker.lanes import Task
from worker.pool import BUCKETS, HandlerThread, Pool

log = logging.getLogger(__name__)


class BatchPool(Pool):
    """A fixed number of threads that call a batch handler."""

    name = "batch-%d"

    def __init__(self, threads: int, call: BatchCall, size: int) -> None:
        """`size`: the most messages in one call."""
        super().__init__(threads, call)
        self._size = size

    @property
    def tuned(self) -> None:
        """More work makes larger batches, not more threads."""

    def running(self) -> List[Tuple[HandlerThread, Task]]:
        """What runs now: all tasks of the batches."""
        return [(thread, task) for thread in self.threads for task in list(thread.batch)]

    def _serve_one(self, thread: HandlerThread, pop: Callable[[], Task]) -> bool:
        """Run one batch of one queue; whether there was any."""
        self._take(thread, pop)
        tasks = thread.batch
        if tasks:
            self._run(thread, tasks)
            thread.batch = []
        return bool(tasks)

    def _take(self, thread: HandlerThread, pop: Callable[[], Task]) -> None:
        """Fill the thread's batch. As everywhere, a task is noted before its partition is asked whether it is closed."""
        batch = thread.batch
        while len(batch) < self._size:
            try:
                batch.append(pop())
            except IndexError:
                return
            task = batch[-1]
            partition = task[1].partition
            if partition.closed and task[0] >= partition.frontier:
                self.parked.append(task)
                batch.pop()
            elif alone(task):
                if len(batch) > 1:
                    partition.queue.put(task)
                    batch.pop()
                return

    def _run(self, thread: HandlerThread, tasks: Sequence[Task]) -> None:
        thread.started = started = time.monotonic()
        for task in tasks:
            completion.running(task)
        try:
            result, failures = self._call(tasks)
            good = [task for index, task in enumerate(tasks) if index not in failures]
            if result is not None:
                result = completion.look(result, good)
        except BaseException as error:  # SystemExit and KeyboardInterrupt too: a handler can't end the service
            good, failures, result = [], self._whole(tasks, error), None
        self._settle(tasks, good, failures, result)
        self._count(thread, tasks[0], len(good), len(failures), time.monotonic() - started)

    def _whole(self, tasks: Sequence[Task], error: BaseException) -> Failures:
        """The call has failed as a whole: that of a single message is its failure, of several it is nobody's yet."""
        if len(tasks) == 1:
            return {0: error}
        log.warning(
            "%s: a batch of %d from offset %d on has failed, so each of its messages is called alone",
            tasks[0][1].partition, len(tasks), tasks[0][0], exc_info=error,
        )  # fmt: skip
        return {}

    def _settle(self, tasks: Sequence[Task], good: List[Task], failures: Failures, result: Any) -> None:
        """Record each task's outcome, or that it is still to come."""
        if result is not None:
            for task in good:
                completion.unfinished(task)
            self.undecided.append((min(good), result))
        else:
            for task in good:
                completion.done(task)
        for index, error in failures.items():
            completion.unfinished(tasks[index])
            self.undecided.append((tasks[index], error))
        if not good and not failures:
            for task in reversed(tasks):  # the first one first in either kind of queue
                completion.unfinished(task)
                task[1].partition.queue.put(Alone(task))
            self.wake(len(tasks))

    @staticmethod
    def _count(thread: HandlerThread, first: Task, done: int, failed: int, seconds: float) -> None:
        partition = first[1].partition
        thread.count(partition.queue.topic, done, failed, seconds)
        thread.histogram[bisect_left(BUCKETS, seconds)] += 1
        if partition.revoked:
            thread.stale += done + failed
