"""Order. Tasks of one lane run one after the other; tasks without a lane run freely.

A lane is not an object, because most ever have a single task: all that is remembered of it is the offset of its last task, and
a task that comes before that one is done *waits for it*, by its offset. Whoever ends a task first marks it as done, then looks
for its follower; whoever makes a task wait first puts it there, then looks at the mark. So one of the two sees the other,
without a lock, and if both do, only one gets the task. A failed task is not done while it waits for its retry, so its
followers wait too.
"""

from __future__ import annotations

from itertools import repeat
from typing import Any, Callable, Dict, Hashable, Iterable, List, Optional, Tuple, Type

from kafka_worker.partitions.queues import FirstComeFirstServed, InOrderOfOffset, Queue
from kafka_worker.partitions.tracker import Tracker

SWEEP_AT = 512  # lanes of one partition, idle or not; each takes 150 bytes with its name

LanesOf = Callable[[List[Any]], Iterable[Optional[Hashable]]]  # the names of some messages' lanes


class Ordering:
    """Which lane a message belongs to (None: it runs freely), and the queue that suits."""

    def __init__(self, lanes_of: Optional[LanesOf], queue: Type[Queue]) -> None:
        """`lanes_of` None: no message has a lane."""
        self.lanes_of = lanes_of
        self.queue = queue


ORDERINGS: Dict[str, Ordering] = {
    # By the method of their type: a `methodcaller` takes four times as long, because it makes a bound method each time.
    "key": Ordering(lambda messages: map(type(messages[0]).key, messages), InOrderOfOffset),
    "partition": Ordering(lambda _messages: repeat(True), InOrderOfOffset),
    "none": Ordering(None, FirstComeFirstServed),
}


class Lanes(Dict[int, Any]):
    """The tasks of one partition that wait, each by the offset of the one it waits for. A thread that ends a task takes its
    follower from here; other threads may look, and all else is the consumer thread's."""

    def __init__(self, tracker: Tracker) -> None:
        """Nobody waits."""
        super().__init__()
        self._is_done = tracker.is_done
        self._sweep_at = SWEEP_AT
        self.last: Dict[Optional[Hashable], int] = {}  # the offset of the last task of each lane, by the lane's name

    def waits(self, task: Any, former: int) -> bool:
        """Whether this task has to wait for the one of that offset, which is before it in its lane."""
        self[former] = task
        return not (self._is_done(former) and self.pop(former, None) is not None)

    def behind(self, offset: int) -> int:
        """How many wait for the task of this offset, one behind the other. Any thread."""
        count, task = 0, self.get(offset)
        while task is not None:
            count, task = count + 1, self.get(task[0])
        return count

    def find(self, offset: int) -> Any:
        """The task of this offset, if it waits; else None. Any thread."""
        return next((task for task in list(self.values()) if task[0] == offset), None)

    def first_waiting(self, behind: Any) -> Any:
        """The first of all waiting tasks that is `behind` this one; None: there is none. Any thread."""
        return min([task for task in list(self.values()) if task > behind], default=None)

    def take_out(self, offset: int) -> Tuple[Any, Any]:
        """The task of this offset, if it still waits here, and the one behind it, if that may run now."""
        former = next((former for former, task in self.copy().items() if task[0] == offset), -1)
        task = self.pop(former, None)
        if task is None:  # somebody else has taken it meanwhile
            return None, None
        follower = self.pop(offset, None)
        if follower is None:
            self.last[task[3]] = former
        return task, None if follower is None or self.waits(follower, former) else follower

    def sweep(self, watermark: int) -> None:
        """Where there are many lanes, forget those in which all is done; doubling the threshold keeps the cost per message
        constant with many keys in flight. `watermark`: below it all is done."""
        if len(self.last) > self._sweep_at:
            recent = [(name, offset) for name, offset in self.last.items() if offset >= watermark]
            self.last = {name: offset for name, offset in recent if not self._is_done(offset)}
            self._sweep_at = max(SWEEP_AT, 2 * len(self.last))
