"""What there is room for becomes tasks: queued, asleep until a retry is due, or parked as an operator has ordered."""

from __future__ import annotations

import itertools
from typing import Any, Callable, List, Optional

from kafka_worker.partitions import intake
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.lanes import LanesOf, Ordering
from kafka_worker.partitions.task import Task
from kafka_worker.parts import Parts
from kafka_worker.shared.topic_settings import ByTopic
from kafka_worker.steering.parking import Parking


class Starting:
    """How the tasks of one process begin. Consumer thread only."""

    def __init__(self, orderings: ByTopic[Ordering], parts: Parts, parking: Parking, clock: Callable[[], float]) -> None:
        """`orderings`: by the topic that messages came from at first."""
        self._orderings = orderings
        self._pool = parts.pool
        self._decisions = parts.decisions
        self._backpressure = parts.backpressure
        self._ongoing = parts.ongoing
        self._parking = parking
        self._clock = clock

    def start(self, partition: Partition, batch: List[Any]) -> None:
        """These messages are in flight from now on, and whatever may run of them does."""
        if not partition.named:
            self._take(partition, batch)
            return
        for is_named, run in itertools.groupby(batch, lambda message: message.offset() in partition.named):
            (self._park if is_named else self._take)(partition, list(run))

    def _park(self, partition: Partition, batch: List[Any]) -> None:
        """An operator parked these before they came: they never start, and nobody of their key waits."""
        self._parking.take(self._tasks(partition, batch, None))

    def _take(self, partition: Partition, batch: List[Any]) -> None:
        tasks = self._tasks(partition, batch, None if partition.retries_of else self._orderings[partition.topic].lanes_of)
        tasks = self._ongoing.without(partition, tasks)
        if partition.retries_of:
            self._decisions.delayed(tasks)
        else:
            partition.queue.extend(tasks)
            self._pool.wake(len(tasks))

    def _tasks(self, partition: Partition, batch: List[Any], lanes_of: Optional[LanesOf]) -> List[Task]:
        """Those of a retry topic are what they really are from here on, also if they wait for a call, and no time."""
        tasks = intake.tasks(partition, batch, lanes_of)
        self._backpressure.note(partition, batch)
        if partition.retries_of:
            tasks = [self._decisions.sleeping.topics.delayed(task, self._clock()) for task in tasks]
        return tasks
