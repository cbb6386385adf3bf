"""The tasks of one partition that may run now, until a handler thread takes them. The pool takes from all partitions in
turn, so that the backlog of one does not keep the others waiting.

Each method is one C call, atomic under the interpreter's lock: the consumer thread and all handler threads use a queue at once
without a lock of ours. `pop` raises IndexError when the queue is empty.
"""

from __future__ import annotations

import functools
import itertools
from bisect import insort
from collections import deque
from typing import Any, Callable, Deque, Iterable, List, Sized

MOST_LOOKS = 1000  # at the tasks of one queue, in search of one


class Queue:
    """What all kinds have in common."""

    extend: Callable[[Iterable[Any]], None]  # add tasks that were just delivered: their offsets are higher than all before
    put: Callable[[Any], None]  # add a task that has waited elsewhere: in its lane, or for a retry
    pop: Callable[[], Any]  # take the next one
    topic = ""  # whose handler its tasks are for: that of its partition, or, for retries, the one they first came from
    tasks: Sized  # what waits: hundreds of queues at once are asked whether there is any

    def __len__(self) -> int:
        """How many tasks wait."""
        return len(self.tasks)

    @property
    def free(self) -> int:
        """How many may be taken now."""
        return len(self.tasks)

    def listed(self) -> List[Any]:
        """All that wait, as of one moment. Any thread."""
        raise NotImplementedError

    def find(self, offset: int) -> Any:
        """The task of this offset, the lowest that is not done, if it waits here and a few looks find it; else None. It stays.
        Any thread."""
        raise NotImplementedError

    def take_out(self, offset: int) -> Any:
        """Take out the task of this offset, wherever in the queue it waits; None: it does not. Consumer thread only. Handler
        threads may find the queue empty meanwhile, and have to be woken."""
        if not any(task[0] == offset for task in self.listed()):
            return None
        waiting = list(iter(self.next, None))
        for task in reversed(waiting):
            if task[0] != offset:
                self.put(task)
        return next((task for task in waiting if task[0] == offset), None)

    def next(self) -> Any:
        """The next one, or None."""
        try:
            return self.pop()
        except IndexError:
            return None


class _Plain(Queue):
    """A queue that stands in for no other."""

    tasks: Deque[Any]
    holder: Callable[[], Deque[Any]] = deque  # makes what holds them

    def __init__(self, put: Callable[[Deque[Any]], Callable[[Any], None]]) -> None:
        """The queue is empty. `put` says how a task that has waited elsewhere is added."""
        self.tasks = self.holder()
        self.extend, self.pop = self.tasks.extend, self.tasks.popleft
        self.put = put(self.tasks)

    def listed(self) -> List[Any]:
        """All that wait, as of one moment."""
        return list(self.tasks.copy())

    def find(self, offset: int) -> Any:
        """It stands behind those that have waited elsewhere, which are seldom many."""
        first = itertools.islice(self.tasks.copy(), MOST_LOOKS)
        return next((task for task in first if task[0] == offset), None)


class InOrderOfOffset(_Plain):
    """The lowest offset next. A task that had to wait for its lane is older than those that were free at once; taking it first
    keeps the gap between the watermark and the highest offset done small, and so what a crash has to run again.

    Its place is found by bisection: where lanes are few, so are the tasks here. A heap would cost each task a dozen
    comparisons when it is taken."""

    def __init__(self) -> None:
        """The queue is empty."""
        super().__init__(lambda tasks: functools.partial(insort, tasks))

    def find(self, offset: int) -> Any:
        """If it is here, it is the first."""
        try:
            first = self.tasks[0]
        except IndexError:
            return None
        return first if first[0] == offset else None


class FirstComeFirstServed(_Plain):
    """For tasks without lanes, which never wait for each other."""

    def __init__(self) -> None:
        """The queue is empty."""
        super().__init__(lambda tasks: tasks.appendleft)
