"""What is known of a handler thread. That thread alone writes it, anybody may read it, and nobody takes a lock."""

from __future__ import annotations

import time
from typing import Dict, List, Optional

from kafka_worker.partitions.task import Task
from kafka_worker.pools import stacks
from kafka_worker.pools.times import TimesByTopic


class HandlerThread:
    """What it runs, and what it has done. (A coroutine pool has one for each place, too.)"""

    __slots__ = (
        "apart", "batch", "busy_seconds", "delays", "done", "done_of", "ended", "failed", "hung", "ident", "name",
        "native_id", "stale", "started", "task", "times",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        """The thread is idle, with nothing done."""
        self.name = name
        self.apart = False  # its calls run in a task process, which keeps the time limit
        self.ident = 0  # of the thread, for its stack; 0: not started
        self.native_id = 0  # the kernel's name for it
        self.hung: Dict[int, Task] = {}  # by identity: calls whose end nobody waits for any more. The main thread's
        self.task: Optional[Task] = None  # set before the task is looked at, cleared after its outcome is recorded
        self.batch: List[Task] = []  # the same in a batch handler's thread, instead of `task`
        # The task, or batch, whose call is over. Set before `Partition.void` is looked at: whoever adds to that, and does not
        # find the task here, knows that nothing will come of it.
        self.ended: object = None
        self.started = 0.0  # monotonic seconds; set before `task` and `batch`, so that neither ever shows another's beginning
        self.done = 0  # handler returned
        self.done_of: Dict[str, int] = {}  # the same by topic
        self.failed = 0  # handler raised
        self.stale = 0  # finished, but the partition had been taken away meanwhile
        self.busy_seconds = 0.0
        self.times = TimesByTopic()  # of the calls
        self.delays = TimesByTopic()  # from when messages were produced to their first call

    def count(self, topic: str, done: int, failed: int, seconds: float) -> None:
        """This many tasks of the topic ended, and took this long."""
        self.failed += failed
        self.busy_seconds += seconds
        if done:
            self.done += done
            self.done_of[topic] = self.done_of.get(topic, 0) + done

    def count_delay(self, topic: str, since: float, ago: float, tasks: int = 1) -> None:
        """This many tasks of the topic were first called `ago` seconds ago; one of them could have been called since `since`
        (seconds since 1970; 0: not known). A producer's clock that is ahead of ours makes no negative delay."""
        if since:
            self.delays[topic].add(max(0.0, time.time() - ago - since), tasks)

    def calls(self) -> stacks.Calls:
        """Where it is now. Any thread."""
        return stacks.of_thread(self.ident)

    def has_ended(self, task: Task) -> bool:
        """Whether its call of this task, which it still has, is over and only has to be recorded. Any thread."""
        ended = self.ended
        return ended is task or (ended is not None and ended is self.batch)

    def hangs(self, task: Task) -> bool:
        """Whether nobody waits for the end of this call any more."""
        return id(task) in self.hung
