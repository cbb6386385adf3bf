"""Gates on a bench: the test takes tasks from the queues, as handler threads would, and keeps the clock."""

from __future__ import annotations

from typing import Any, List

from kafka_worker.gates.gates import Gates
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.queues import InOrderOfOffset, Queue
from kafka_worker.partitions.task import Task, mark_open, mark_running
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.shared.foreign.exceptions import copied
from tests.unit.fakes import TOPIC, Message, some_settings

OPEN_SECONDS, PROBES = 10.0, 2
NOBODYS = "nobodys"  # a topic without a handler
ERROR = ConnectionError("refused")


class Bench:
    """Gates for some topics, each with a handler of its own name and one partition with tasks."""

    def __init__(self, *topics: str, tasks: int = 20, kind: Any = InOrderOfOffset, **changes: Any) -> None:
        settings = some_settings(
            **{"breaker_min_calls": 4, "breaker_open_seconds": OPEN_SECONDS, "breaker_probes": PROBES, **changes}
        )
        self.now = 0.0
        self.pool = Pool(2, lambda *_: None)
        self.apart = HandlerThread("quarantine-0")
        self.gates = Gates(
            settings, self.pool, lambda topic: "" if topic == NOBODYS else topic, lambda: self.now, [self.apart]
        )
        self.partitions = [Partition(topic, 0, kind) for topic in topics or (TOPIC,)]
        for partition in self.partitions:
            partition.dependencies = self.gates.dependencies
            segment, _ = partition.tracker.take(0, tasks)
            partition.queue.extend([(offset, segment, Message(offset), None, 1, partition) for offset in range(tasks)])
        self.turn(0.0)

    def turn(self, seconds: float = 0.01) -> bool:
        """So much later; whether what is served has changed."""
        self.now += seconds
        changed = self.gates.turn(self.partitions, self.now)
        self.queues: List[Queue] = self.gates.queues(self.partitions)
        return changed

    def taken(self, most: int = 100) -> List[Task]:
        """All tasks that may be started now, up to so many."""
        tasks: List[Task] = []
        for queue in self.queues:
            while len(tasks) < most:
                try:
                    tasks.append(queue.pop())
                except IndexError:
                    break
                mark_running(tasks[-1])
        return tasks

    def fail(self, *tasks: Task, error: BaseException = ERROR, last: bool = False) -> List[bool]:
        """Whether each is excused."""
        for task in tasks:
            mark_open(task)
        return [self.gates.excuse(task, copied(error), self.now, last=last) for task in tasks]

    def call(self, name: str, topic: str = TOPIC, error: Any = None) -> None:
        """A handler uses a dependency, which raises."""
        with self.gates.dependencies.call(name, topic, Partition(topic, 0).closing):
            if error is not None:
                raise error

    def until_open(self) -> Bench:
        """By failures of the first partition's first tasks, the last of which is set aside."""
        assert self.fail(*self.taken(4)) == [False, False, False, True]
        self.turn()
        return self

    def until_half_open(self) -> Bench:
        self.until_open()
        self.turn(OPEN_SECONDS)
        return self

    def succeed(self, *tasks: Task) -> None:
        for task in tasks:
            task[1].complete(task[0])
        self.turn()


def offsets(tasks: List[Task]) -> List[int]:
    return [task[0] for task in tasks]
