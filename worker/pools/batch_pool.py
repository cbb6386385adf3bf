"""Handler threads that take lists of messages. A thread takes what may run now from one partition's queue, up to BATCH_SIZE,
and never waits for more: a lone message is not kept waiting, and under load the lists grow by themselves, because messages
gather while handlers work. (Waiting for fuller lists would delay every message at low load, and hold offsets back.)

A batch holds at most one message of a lane, because a queue does.
"""

from __future__ import annotations

from typing import Callable, List, Optional, Tuple

from kafka_worker.handler.batch import BatchCall, alone
from kafka_worker.partitions.task import (
    Task,
    attempt_of,
    finish,
    is_first,
    is_void,
    kept_back,
    mark_open,
    mark_running,
    message_of,
    partition_of,
)
from kafka_worker.partitions.undecided import Raised, Returned, Undecided, failed, sends_of
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.shared.foreign.errors import UntriedError
from kafka_worker.shared.foreign.exceptions import copied


class BatchPool(Pool):
    """A fixed number of threads that call a batch handler."""

    name = "batch-%d"

    def __init__(self, threads: int, call: BatchCall, size: int, *, whole: bool = False) -> None:
        """`size`: the most messages in one call; `whole`: what a call sends is stored with all that lies between its messages,
        or not at all."""
        super().__init__(threads, call)
        self._size = size
        self._whole = whole

    @property
    def tuned(self) -> None:
        """More work makes larger batches, not more threads."""

    def running(self) -> List[Tuple[HandlerThread, Task]]:
        """What runs now: all tasks of the batches."""
        return [(thread, task) for thread in self.threads for task in list(thread.batch)]

    def _serve_one(self, thread: HandlerThread, pop: Callable[[], Task]) -> bool:
        """Run one batch of one queue, and then the task that ended it because it must be alone; whether there was any."""
        last = self._take(thread, pop)
        if self._whole and len(thread.batch) > 1:
            self._shorten(thread)
        ran = self._run(thread)
        # Taken and not noted yet, as every task is for a moment; the look at `closed` is still to come.
        if last is not None and self._note(thread, last):
            ran = self._run(thread)
        return ran

    def _take(self, thread: HandlerThread, pop: Callable[[], Task]) -> Optional[Task]:
        """Fill the thread's batch. Returns the task that ended it because it must be alone."""
        while len(thread.batch) < self._size:
            try:
                task = pop()
            except IndexError:
                return None
            if alone(task):
                return task
            self._note(thread, task)
        return None

    def _shorten(self, thread: HandlerThread) -> None:
        """Give back what lies behind a message that waits behind its key: it may wait for one of the batch, whose results
        would wait for it. What does not wait like that now never will."""
        batch, lowest = thread.batch, min(thread.batch)
        partition = partition_of(lowest)
        between = partition.lanes.first_waiting(lowest)
        if between is None or max(batch) < between:
            return
        thread.batch = [task for task in batch if task < between]
        for task in sorted((task for task in batch if task > between), reverse=True):
            partition.queue.put(task)
        self.wake(1)

    def _note(self, thread: HandlerThread, task: Task) -> bool:
        """Note the task; whether it may run. As everywhere, it is noted before the look whether its partition is closed."""
        if not thread.batch:
            thread.started = self.clock()
        thread.batch.append(task)
        if kept_back(task):
            self.kept_back.append(task)
            thread.batch.pop()
            return False
        return True

    def _run(self, thread: HandlerThread) -> bool:
        """Call the handler with what is noted; whether that was anything."""
        tasks = thread.batch
        if not tasks:
            return False
        for task in tasks:
            mark_running(task)
        try:
            result, of_items = self._call(tasks)
            failures: List[Undecided] = [Raised(tasks[index], copied(error)) for index, error in of_items.items()]
            untried = {id(tasks[index]) for index, error in of_items.items() if isinstance(error, UntriedError)}
            good = [task for index, task in enumerate(tasks) if index not in of_items]
            if result is not None:
                result = sends_of(result, good)
        except BaseException as error:  # SystemExit and KeyboardInterrupt too: a handler can't end the service
            good, result, failures = [], None, [failed(tasks, copied(error))]
            untried = set(map(id, tasks)) if isinstance(error, UntriedError) else set()
        thread.ended = tasks  # before the look at `void`
        if partition_of(tasks[0]).void:
            good = [task for task in good if not is_void(task)]
            result = result if result is not None and result.left() else None
            failures = [each for each in failures if each.left()]
            untried.update(id(task) for task in tasks if is_void(task))  # the time these took counts for nobody, either
        self._conclude(good, result, failures)
        tried = [task for task in tasks if id(task) not in untried]
        if tried:
            of_calls = [each for each in failures if not isinstance(each.error, UntriedError)]  # type: ignore[union-attr]
            self._count(thread, tried, len(good), len(of_calls), self.clock() - thread.started)
        thread.batch = []
        return True

    def _conclude(self, good: List[Task], result: Optional[Returned], failures: List[Undecided]) -> None:
        """Record each task's outcome, or that it is still to come."""
        if result is None:
            for task in good:
                finish(task)
        for undecided in failures if result is None else [result, *failures]:
            for task in undecided.tasks:
                mark_open(task)
            self.undecided.append(undecided)

    def _count(self, thread: HandlerThread, tried: List[Task], done: int, failed: int, seconds: float) -> None:
        last = tried[-1]
        partition = partition_of(last)
        topic = partition.queue.topic
        thread.count(topic, done, failed, seconds)
        thread.times[topic].add(seconds)
        if is_first(attempt_of(last)) and not alone(last):  # it stands for the whole batch
            thread.count_delay(topic, self.since(message_of(last)), seconds, len(tried))
        if partition.closing.forgotten:
            thread.stale += done + failed
