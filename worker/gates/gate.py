"""The way to one handler while a circuit breaker holds it up: permits for probes, what became of these, and the tasks that
failed meanwhile. Consumer thread only, but for `PermitQueue.pop`."""

from __future__ import annotations

import math
import threading
from collections import deque
from enum import Enum
from typing import Deque, Dict, Optional, Tuple

from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.queues import Queue
from kafka_worker.partitions.task import Task, attempt_of, failed_before, offset_of, partition_of
from kafka_worker.partitions.tracker import DONE, RUNNING

IDLE_LOOKS = 2  # a task between a queue and its call runs at the second look, or it will not run without another permit


class Access(Enum):
    """How the partitions of a handler are served. It follows from the state of the breakers, and has none of its own."""

    FREE = "free"
    METERED = "metered"
    HELD = "held"


class Permits(Deque[None]):
    """Those that lie ready, for the queues of all partitions that they are meant for."""

    def __init__(self) -> None:
        """None does."""
        super().__init__()
        # Held by who takes one until it is used, or given back: else others would find none meanwhile, and sleep in vain.
        self.lock = threading.Lock()


class PermitQueue(Queue):
    """A partition's queue, from which each task costs a permit."""

    def __init__(self, queue: Queue, permits: Permits, taken: Optional[Deque[Task]] = None) -> None:
        """`taken` gets what was taken."""
        self.tasks, self._queue = queue.tasks, queue
        self._permits = permits
        self._taken = taken
        self.topic = queue.topic
        self.extend, self.put = queue.extend, queue.put
        self.pop = self._pop

    @property
    def free(self) -> int:
        """How many there are permits for."""
        with self._permits.lock:
            return min(self._queue.free, len(self._permits))

    def _pop(self) -> Task:
        """Any thread. IndexError: no permit, or no task; then the permit is given back."""
        with self._permits.lock:
            self._permits.pop()
            try:
                task: Task = self._queue.pop()
            except IndexError:
                self._permits.append(None)
                raise
            if self._taken is not None:
                self._taken.append(task)
        return task


class Probe:
    """A task that was started with a permit."""

    __slots__ = ("idle", "task")

    def __init__(self, task: Task) -> None:
        """The task was just taken."""
        self.task = task
        self.idle = 0  # how often it was found neither running nor done

    @property
    def under_way(self) -> bool:
        """Whether it uses its permit up. It does not when it went back into its queue (a batch that failed is called one by
        one) or waits for what it sent to be stored."""
        return self.idle < IDLE_LOOKS

    def check(self) -> bool:
        """Whether it is done."""
        offset, segment, _message, _lane, _attempt, partition = self.task
        if offset < partition.tracker.watermark():
            return True  # the flag may be somebody else's by now
        flag = segment.flags[offset + segment.shift]
        self.idle = 0 if flag == RUNNING else self.idle + 1
        return bool(flag == DONE)


class Gate:
    """The way to one handler."""

    def __init__(self) -> None:
        """The gate is open."""
        self.access = Access.FREE
        self.permits = Permits()
        self.taken: Deque[Task] = deque()  # by handler threads, with a permit
        self.aside: Deque[Task] = deque()  # failed, and will be run again as if they had not been tried
        self.succeeded_at = -math.inf  # monotonic seconds, of the last probe that was done
        self.credit = 0  # calls that have succeeded of late
        self._probes: Dict[Tuple[int, Partition], Probe] = {}  # by offset and partition
        self._answered = 0  # probes whose call has returned, whatever their outcome waits for

    def restart(self) -> None:
        """Forget permits and probes: another round, or none."""
        self.permits.clear()
        self.taken.clear()
        self._probes, self._answered = {}, 0
        self.succeeded_at = -math.inf

    def ended(self, task: Task) -> bool:
        """The call of the task is over; whether it was a probe."""
        self._note()
        return self._probes.pop(_place(task), None) is not None

    def answered(self, task: Task) -> None:
        """Its call has returned."""
        self._answered += self.ended(task)

    def succeeded(self) -> int:
        """How many probes are done since the last look. Those of partitions that go away are given up: nothing will be heard
        of some of them."""
        self._note()
        self._probes = {place: probe for place, probe in self._probes.items() if not partition_of(probe.task).closing.closed}
        done = [place for place, probe in self._probes.items() if probe.check()]
        for place in done:
            del self._probes[place]
        answered, self._answered = self._answered, 0
        return len(done) + answered

    def grant(self, wanted: int) -> int:
        """Have as many probes under way as are wanted; how many more permits lie ready for that."""
        self._note()
        missing = max(0, wanted - len(self.permits) - self.under_way)
        self.permits.extend([None] * missing)
        return missing

    @property
    def under_way(self) -> int:
        """How many probes are running, as far as known."""
        return sum(probe.under_way for probe in self._probes.values())

    @property
    def outdone(self) -> int:
        """How many of those that were set aside have failed before another succeeded."""
        return sum(failed_before(attempt_of(task)) < self.succeeded_at for task in self.aside)

    def put_back(self, most: int) -> int:
        """Put back those of the tasks set aside that have waited longest; how many, for whom somebody is to be woken."""
        chosen = [self.aside.popleft() for _ in range(min(most, len(self.aside)))]
        for task in sorted(chosen, key=lambda task: -offset_of(task)):  # queues without order take them at their front
            if not partition_of(task).closing.forgotten:
                partition_of(task).queue.put(task)
        return len(chosen)

    def _note(self) -> None:
        for _ in range(len(self.taken)):
            task = self.taken.popleft()
            self._probes[_place(task)] = Probe(task)


def _place(task: Task) -> Tuple[int, Partition]:
    return offset_of(task), partition_of(task)
