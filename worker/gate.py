"""Which tasks may start. Usually all, and then the pool takes from the partitions' own queues. A partition whose handler is
*held* (see `breakers`) is not served at all; one that is *metered* is served through permits, of which the consumer thread
gives out a counted number: for the probes of a circuit breaker, and for the rate limit. Consumer thread only, but for
`Metered.pop`.

The tasks stay where they are, in the queues of their partitions. So retries, followers in a lane, closing and parking need to
know nothing of the gate.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from enum import Enum
from typing import Callable, Deque, Dict, Iterable, List, Optional

from service.settings import Settings
from service.snapshot import BreakerReport
from worker.assignment import Partition
from worker.breakers import Breakers
from worker.dependencies import Dependencies
from worker.lanes import Task
from worker.pool import Pool
from worker.queues import Queue
from worker.rate_limit import TokenBucket
from worker.tracker import DONE

log = logging.getLogger(__name__)

COUNT_SECONDS = 0.05  # between two looks at what is done, unless something has failed


class Access(Enum):
    """How the partitions of a handler are served. It follows from the state of the breakers, and has none of its own."""

    FREE = "free"
    METERED = "metered"
    HELD = "held"


class Metered(Queue):
    """A partition's queue, from which each task costs a permit."""

    def __init__(self, queue: Queue, permits: Deque[None], taken: Optional[Deque[Task]] = None) -> None:
        """`taken` gets what was taken."""
        self._tasks = self._queue = queue
        self.topic = queue.topic
        self._permits = permits
        self._taken = taken
        self.extend, self.put = queue.extend, queue.put
        self.pop = self._pop

    def _pop(self) -> Task:
        """Any thread. IndexError: no permit, or no task; then the permit is given back."""
        self._permits.pop()
        try:
            task: Task = self._queue.pop()
        except IndexError:
            self._permits.append(None)
            raise
        if self._taken is not None:
            self._taken.append(task)
        return task


class Door:
    """The way to one handler."""

    def __init__(self) -> None:
        """Open."""
        self.access = Access.FREE
        self.permits: Deque[None] = deque()  # for probes
        self.taken: Deque[Task] = deque()  # by handler threads, as probes
        self.aside: Deque[Task] = deque()  # failed, and will be run again as if they had not been tried
        self._probes: List[Task] = []
        self._granted = 0  # permits whose outcome is not known

    def restart(self) -> None:
        """Forget permits and probes: another round, or none."""
        self.permits.clear()
        self.taken.clear()
        self._probes, self._granted = [], 0

    def ended(self, task: Task) -> bool:
        """The task has failed; whether it was a probe."""
        self._note_probes()
        probes = [each for each in self._probes if each is not task]
        found = len(probes) < len(self._probes)
        self._probes = probes
        self._granted -= found
        return found

    def succeeded(self) -> int:
        """How many probes are done since the last look. Those of partitions that go away are given up: nothing will be heard
        of some of them."""
        self._note_probes()
        done = [task for task in self._probes if _done(task)]
        left = [task for task in self._probes if task not in done and not task[1].partition.closed]
        self._granted -= len(self._probes) - len(left)
        self._probes = left
        return len(done)

    def grant(self, wanted: int) -> int:
        """Have as many probes under way as are wanted; how many permits lie ready."""
        missing = max(0, wanted - self._granted)
        self.permits.extend([None] * missing)
        self._granted += missing
        return len(self.permits)

    def put_back(self, most: int) -> None:
        """Of those that were set aside, the ones that have waited longest."""
        chosen = [self.aside.popleft() for _ in range(min(most, len(self.aside)))]
        for task in sorted(chosen, key=lambda task: -task[0]):  # queues without order take them at their front
            if not task[1].partition.revoked:
                task[1].partition.queue.put(task)

    def _note_probes(self) -> None:
        self._probes += [self.taken.popleft() for _ in range(len(self.taken))]


class Gate:
    """The gate of one process."""

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        handler_of: Callable[[str], str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`handler_of` gives the handler's name for a topic."""
        self._pool = pool
        self._handler_of = handler_of
        self.dependencies = Dependencies(clock)
        self._breakers = Breakers(settings, self.dependencies, handler_of)
        self._doors: Dict[str, Door] = {}
        self._done: Dict[str, int] = {}  # topic to what was counted so far
        self._counted_at = clock()
        rate = settings.max_messages_per_second / settings.processes
        self._bucket = TokenBucket(rate, clock()) if rate else None
        self._tokens: Deque[None] = deque()

    def served(self, partition: Partition) -> Optional[Queue]:
        """The queue from which the pool takes the partition's tasks; None: nothing of it may be started."""
        door = self._door(partition)
        if door.access is Access.HELD:
            return None
        queue = partition.queue if self._bucket is None else Metered(partition.queue, self._tokens)
        return queue if door.access is Access.FREE else Metered(queue, door.permits, door.taken)

    def queues(self, partitions: Iterable[Partition]) -> List[Queue]:
        """What the pool serves of these partitions."""
        return [queue for queue in map(self.served, partitions) if queue is not None]

    def turn(self, partitions: Iterable[Partition], now: float) -> bool:
        """Once in a turn of the loop, after the failures; whether what is `served` has changed."""
        if now - self._counted_at >= COUNT_SECONDS:
            self._count_done(now)
        for handler, door in self._doors.items():
            if door.access is Access.METERED:
                self._breakers.succeeded(handler, door.succeeded(), now, probe=True)
        self._breakers.turn(now)
        ours = list(partitions)
        for partition in ours:
            partition.barred = self._door(partition).access is Access.HELD
        closing = {self._handler_of(partition.queue.topic) for partition in ours if partition.closed}
        changed = [self._set(handler, door, closing=handler in closing) for handler, door in self._doors.items()]
        self._let_through(ours, now)
        return any(changed)

    def take_back(self, task: Task, error: BaseException, now: float, *, last: bool) -> bool:
        """A task failed; whether it will be run again as if it had not been tried, because not it is to blame. `last`: it
        becomes a dead letter otherwise."""
        if now != self._counted_at:
            self._count_done(now)
        partition = task[1].partition
        door = self._door(partition)
        probe = door.ended(task)
        if not self._breakers.take_back(self._handler_of(partition.queue.topic), error, now, probe=probe, last=last):
            return False
        log.info(
            "%s offset %d failed at attempt %d (%s), which does not count: %s",
            partition, task[0], task[4], type(error).__name__, self.why(partition),
        )  # fmt: skip
        door.aside.append(task)
        return True

    def why(self, partition: Partition) -> str:
        """What holds the partition up, in words; empty: nothing."""
        return self._breakers.why(self._handler_of(partition.queue.topic))

    def reports(self, now: float) -> List[BreakerReport]:
        """Of the circuit breakers, for the snapshot."""
        return self._breakers.reports(now)

    @property
    def metering(self) -> bool:
        """Whether tasks wait for permits, which come with the turns of the loop."""
        return any(door.access is Access.METERED for door in self._doors.values())

    def _door(self, partition: Partition) -> Door:
        handler = self._handler_of(partition.queue.topic)
        if handler not in self._doors:
            self._doors[handler] = Door()
            self._set(handler, self._doors[handler], closing=partition.closed)
        return self._doors[handler]

    def _set(self, handler: str, door: Door, *, closing: bool) -> bool:
        """Follow the breakers; whether that changes anything. There are no probes while partitions are brought to rest."""
        before = door.access
        if self._breakers.closed_for(handler):
            door.access = Access.FREE
        else:
            door.access = Access.METERED if self._breakers.wanted(handler) and not closing else Access.HELD
        if door.access is not before:
            door.restart()
        return door.access is not before

    def _let_through(self, partitions: List[Partition], now: float) -> None:
        for handler, door in self._doors.items():
            if door.access is Access.FREE:
                self._return_all(door)
            else:
                self._probe(handler, door, [p for p in partitions if self._door(p) is door])
        if self._bucket is not None:
            self._tokens.extend([None] * self._bucket.fill(len(self._tokens), now))
            if any(len(partition.queue) for partition in partitions):
                self._pool.wake(len(self._tokens))

    def _return_all(self, door: Door) -> None:
        count = len(door.aside)
        if count:
            door.put_back(count)
            self._pool.wake(count)

    def _probe(self, handler: str, door: Door, partitions: List[Partition]) -> None:
        for partition in partitions:
            if partition.closed:  # nothing more of it will be started, so that a stop need not wait for it
                partition.given_up = 0
        if door.access is Access.HELD:
            return
        ready = door.grant(self._breakers.wanted(handler))
        waiting = sum(len(partition.queue) for partition in partitions)
        if ready and not waiting:  # messages that did not fail before come first: those may be to blame themselves
            door.put_back(ready)
        self._pool.wake(ready)

    def _count_done(self, now: float) -> None:
        """Tell the breakers what is done since the last look."""
        self._counted_at = now
        done: Dict[str, int] = {}
        for thread in self._pool.threads:
            for topic, count in thread.done_of.copy().items():
                done[topic] = done.get(topic, 0) + count
        for topic, count in done.items():
            more = count - self._done.get(topic, 0)
            if more > 0:
                self._breakers.succeeded(self._handler_of(topic), more, now)
        self._done = done


def _done(task: Task) -> bool:
    """Below the watermark the flag may be somebody else's by now."""
    offset, segment = task[:2]
    if segment.partition.revoked:
        return False
    return offset < segment.partition.tracker.watermark() or segment.flags[offset + segment.shift] == DONE
