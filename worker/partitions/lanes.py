"""Order. Tasks of one lane run one after the other; tasks without a lane run freely.

A lane is a queue that is *held* by whoever runs its task: adding and taking need no lock around both, because whoever
finds work and gets the hold runs it, and whoever gives the hold up looks once more. (The mailbox of actor systems.)
A failed task keeps its lane held while it waits for its retry, so that its followers wait too.
"""

from __future__ import annotations

import threading
from collections import deque
from operator import methodcaller
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, Hashable, Iterable, List, Optional, Tuple, Type

from kafka_worker.partitions.queues import FirstComeFirstServed, InOrderOfOffset, Queue

if TYPE_CHECKING:
    from kafka_worker.partitions.tracker import Segment

#: (offset, segment, message, lane or None, attempt). A plain tuple: it is the only object a message costs. Tasks of one
#: partition compare by their offsets.
Task = Tuple[int, "Segment", Any, Optional["Lane"], int]

LaneOf = Callable[[Any], Optional[Hashable]]


class Ordering:
    """Which lane a message belongs to (None: it runs freely), and the queue that suits."""

    def __init__(self, lane_of: Optional[LaneOf], queue: Type[Queue]) -> None:
        """`lane_of` None: no message has a lane."""
        self.lane_of = lane_of
        self.queue = queue


ORDERINGS: Dict[str, Ordering] = {
    "key": Ordering(methodcaller("key"), InOrderOfOffset),
    "partition": Ordering(lambda _message: True, InOrderOfOffset),
    "none": Ordering(None, FirstComeFirstServed),
}


class Lane:
    """Waiting tasks, and the hold on them."""

    __slots__ = ("_hold", "_waiting")

    def __init__(self) -> None:
        """An empty lane that nobody holds."""
        self._waiting: Deque[Task] = deque()
        self._hold = threading.Lock()

    def admit(self, task: Task) -> Optional[Task]:
        """Put a task at the end; the task to run now, if the lane was free: usually this very one. Consumer thread only."""
        if not self._waiting and self._hold.acquire(False):
            return task
        self._waiting.append(task)
        return self.next()

    def next(self) -> Optional[Task]:
        """The task to run now, if the lane is free and has one; the caller then holds the lane. Any thread."""
        while self._waiting and self._hold.acquire(False):
            try:
                return self._waiting.popleft()
            except IndexError:  # somebody took it between the look and the hold
                self._hold.release()
        return None

    def release(self) -> Optional[Task]:
        """Give up the hold after an outcome; the next task to run, for which the caller then holds the lane again."""
        self._hold.release()
        return self.next() if self._waiting else None

    @property
    def idle(self) -> bool:
        """Nothing runs or waits. Final for the consumer thread, which alone adds."""
        return not self._waiting and not self._hold.locked()


class Lanes:
    """The lanes of one partition. Consumer thread only."""

    def __init__(self) -> None:
        """No lanes yet: they come with their first message."""
        self._lanes: Dict[Hashable, Lane] = {}
        self._sweep_at = 1024

    def runnable(self, tasks: Iterable[Tuple[int, Segment, Any]], lane_of: LaneOf) -> List[Task]:
        """Put tasks into their lanes, in order; those that may run now."""
        now: List[Task] = []
        lanes = self._lanes
        for offset, segment, message in tasks:
            name = lane_of(message)
            if name is None:
                now.append((offset, segment, message, None, 1))
                continue
            lane = lanes.get(name)
            if lane is None:
                lane = lanes[name] = Lane()
            task = lane.admit((offset, segment, message, lane, 1))
            if task is not None:
                now.append(task)
        if len(lanes) > self._sweep_at:
            self._sweep()
        return now

    def _sweep(self) -> None:
        """Forget idle lanes; doubling the threshold keeps the cost per message constant with many keys in flight."""
        self._lanes = {name: lane for name, lane in self._lanes.items() if not lane.idle}
        self._sweep_at = max(1024, 2 * len(self._lanes))

    def __len__(self) -> int:
        """How many lanes are remembered."""
        return len(self._lanes)
