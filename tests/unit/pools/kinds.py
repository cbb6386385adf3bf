"""Pools of every kind, whose handlers do the same, and work for them."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Dict, List, Optional

from kafka_worker.handler.batch import BatchCall
from kafka_worker.handler.decoding import decode
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.lanes import Lanes
from kafka_worker.partitions.task import Task
from kafka_worker.partitions.tracker import Segment
from kafka_worker.pools.async_pool import AsyncPool
from kafka_worker.pools.batch_pool import BatchPool
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.pools.times import Times
from kafka_worker.shared.foreign.answers import BatchError
from tests.unit.fakes import Message, in_lane

Act = Callable[[int], Any]  # what the handler does with the message of an offset: returns, or raises
Wait = Callable[[], object]  # what it does before: it may block


class Work:
    """A partition with some tasks in flight. The value of each message is its offset."""

    def __init__(self, count: int) -> None:
        self.partition = Partition("topic", 0)
        self.segment: Segment = self.partition.tracker.take(0, count)[0]
        self.count = count

    def task(self, offset: int, lane: Optional[str] = None, attempt: int = 1, value: Optional[bytes] = None) -> Task:
        message = Message(offset, value=b"%d" % offset if value is None else value)
        return offset, self.segment, message, lane, attempt, self.partition

    def give(self, pool: Pool, *tasks: Task) -> None:
        pool.serve([self.partition.queue])
        self.partition.queue.extend(tasks)
        pool.wake(len(tasks))

    def give_all(self, pool: Pool) -> None:
        self.give(pool, *[self.task(offset) for offset in range(self.count)])

    def in_one_lane(self) -> List[Task]:
        """Those of all in one lane that may run now: the first."""
        return list(filter(in_lane, [self.task(offset, "lane") for offset in range(self.count)]))

    def give_in_one_lane(self, pool: Pool) -> Lanes:
        self.give(pool, *self.in_one_lane())
        return self.partition.lanes

    def times(self, pool: Pool) -> Times:
        """How long its calls took, by the only thread that has called."""
        return pool.threads[0].times[self.partition.topic]

    @property
    def watermark(self) -> int:
        return self.partition.tracker.watermark()


def batch_pool(handler: Callable[..., Any], size: int = 100, *, contexts: bool = False, whole: bool = False) -> BatchPool:
    """With one thread."""
    return BatchPool(1, BatchCall(handler, decode, takes_contexts=contexts), size, whole=whole)


def _threads(act: Act, wait: Wait) -> Pool:
    def call(message: Message, _partition: Partition, _attempt: int) -> Any:
        wait()
        return act(message.offset())

    return Pool(2, call)


def _coroutines(act: Act, wait: Wait) -> Pool:
    async def call(message: Message, _partition: Partition, _attempt: int) -> Any:
        await asyncio.get_running_loop().run_in_executor(None, wait)
        return act(message.offset())

    return AsyncPool(1000, call)


def _batches(act: Act, wait: Wait) -> Pool:
    def handler(offsets: List[int]) -> Any:
        wait()
        failures: Dict[int, BaseException] = {}
        results: List[Any] = []
        for index, offset in enumerate(offsets):
            try:
                results.append(act(offset))
            except BaseException as problem:
                failures[index] = problem
        if failures:
            raise BatchError(failures)
        return None if None in results else results

    return batch_pool(handler)


#: Each makes a pool of its kind, with more than one place for a message.
KINDS: Dict[str, Callable[[Act, Wait], Pool]] = {"threads": _threads, "coroutines": _coroutines, "batches": _batches}
