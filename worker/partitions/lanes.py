"""Order. Tasks of one lane run one after the other; tasks without a lane run freely.

A lane is a queue that is *held* by whoever runs its task: adding and taking need no lock around both, because whoever
finds work and gets the hold runs it, and whoever gives the hold up looks once more. (The mailbox of actor systems.)
A failed task keeps its lane held while it waits for its retry, so that its followers wait too.
"""

from __future__ import annotations

import threading
from collections import deque
from operator import methodcaller
from typing import Any, Callable, Dict, Hashable, List, Optional, Type

from kafka_worker.partitions.queues import FirstComeFirstServed, InOrderOfOffset, Queue

SWEEP_AT = 256  # lanes of one partition, whether idle or not; each is a quarter of a kilobyte with its name

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
    """Waiting tasks, and the hold on them. Like a queue, it looks at nothing of a task. Most lanes have one task and no other,
    ever: the place where others wait is made when one does, by the consumer thread, which alone adds."""

    __slots__ = ("hold", "waiting")

    def __init__(self) -> None:
        """An empty lane that nobody holds."""
        self.waiting: Any = ()  # or a deque
        self.hold = threading.Lock()

    def admit(self, task: Any) -> Any:
        """Put a task at the end; the task to run now, if the lane was free: usually this very one. Consumer thread only."""
        if not self.waiting and self.hold.acquire(False):
            return task
        if self.waiting == ():
            self.waiting = deque((task,))
        else:
            self.waiting.append(task)
        return self.next()

    def next(self) -> Any:
        """The task to run now, if the lane is free and has one; the caller then holds the lane. Any thread."""
        while self.waiting and self.hold.acquire(False):
            try:
                return self.waiting.popleft()
            except IndexError:  # somebody took it between the look and the hold
                self.hold.release()
        return None

    def release(self) -> Any:
        """Give up the hold after an outcome; the next task to run, for which the caller then holds the lane again."""
        self.hold.release()
        return self.next() if self.waiting else None

    def listed(self) -> List[Any]:
        """The tasks that wait, as of one moment. Any thread."""
        waiting = self.waiting
        return list(waiting.copy()) if waiting else []

    def give_up(self, task: Any) -> bool:
        """Take it out, if it waits here still. Any thread: it is one C call."""
        try:
            self.waiting.remove(task)
        except (ValueError, AttributeError):  # nobody has waited here yet
            return False
        return True

    @property
    def idle(self) -> bool:
        """Nothing runs or waits. Final for the consumer thread, which alone adds."""
        return not self.waiting and not self.hold.locked()


class Lanes(Dict[Hashable, Lane]):
    """The lanes of one partition by their names; each comes with its first message. Consumer thread only, but for a look."""

    _sweep_at = SWEEP_AT

    def __missing__(self, name: Hashable) -> Lane:
        """A new one."""
        lane = self[name] = Lane()
        return lane

    def first_waiting(self, behind: Any) -> Any:
        """The first task of those that wait in any of them and are `behind` this one; None: there is none. Any thread."""
        found = [task for lane in list(self.values()) for task in lane.listed() if task > behind]
        return min(found, default=None)

    def sweep(self) -> None:
        """Forget idle lanes where there are many; doubling the threshold keeps the cost per message constant with many keys in
        flight."""
        if len(self) > self._sweep_at:
            # `idle` written out
            for name in [name for name, lane in self.items() if not (lane.waiting or lane.hold.locked())]:
                del self[name]
            self._sweep_at = max(SWEEP_AT, 2 * len(self))
