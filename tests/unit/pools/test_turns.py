"""Whose turn it is where topics are not alike."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Callable, Dict, List, Optional

import pytest

from kafka_worker.gates.gate import PermitQueue, Permits
from kafka_worker.handler.batch import BatchCall
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.queues import FirstComeFirstServed
from kafka_worker.pools import turns
from kafka_worker.pools.async_pool import AsyncPool
from kafka_worker.pools.batch_pool import BatchPool
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.pools.turns import Served, Turns
from tests.support.ending import started
from tests.support.eventually import eventually
from tests.unit.fakes import Message, some_settings


def queue(topic: str) -> FirstComeFirstServed:
    made = FirstComeFirstServed()
    made.topic = topic
    return made


def test_partitions_have_turns_by_the_priority_of_their_topic_evenly_spread() -> None:
    served = [queue(topic) for topic in ("urgent", "a", "b")]

    order = Turns(some_settings(topic_tables={"urgent": {"priority": 3}})).order(served)

    assert [each.topic for each in order] == ["urgent", "urgent", "a", "b", "urgent"]


def test_turns_go_around_and_pass_what_is_empty() -> None:
    queues = tuple(queue(topic) for topic in "abcd")
    for number in (1, 3):
        queues[number].extend([()])
    served = Served(queues)

    turns_of = {turn: [served.queue(each).topic for each in served.filled(turn)] for turn in (0, 1, 2, 3, 1003)}

    assert turns_of == {0: ["b", "d"], 1: ["d", "b"], 2: ["d", "b"], 3: ["b", "d"], 1003: ["b", "d"]}
    assert list(Served().filled(7)) == []


def test_where_topics_are_alike_there_is_nothing_between_pool_and_queues() -> None:
    assert turns.of_settings(some_settings(topic_tables={"orders": {"max_attempts": 2}})) is None


def test_turns_of_partitions_that_have_nothing_cost_a_look_each_and_no_more() -> None:
    """A thread has them all before it sleeps: 64 partitions of priority 100 took it 4 ms, each time."""
    pool = Pool(1, lambda *_: None)
    pool.turns = turns.of_settings(some_settings(topic_tables={"urgent": {"priority": 100}}))
    turned: List[float] = []
    with started(pool):
        pool.clock = lambda: turned.append(0.0) or 0.0  # type: ignore[func-returns-value]
        pool.serve([Partition("urgent", 0).queue, Partition("other", 0).queue])
        pool.idle.clear()
        pool.wake(1)
        eventually(pool.idle.is_set, 5.0, "the thread has found nothing")
        looked = len(turned)

    assert looked == 0


Wait = Callable[[Optional[bytes]], object]


def _threads(wait: Wait) -> Pool:
    return Pool(4, lambda message, _partition, _attempt: wait(message.value()))


def _coroutines(wait: Wait) -> Pool:
    async def call(message: Message, _partition: Partition, _attempt: int) -> None:
        await asyncio.get_running_loop().run_in_executor(None, wait, message.value())

    return AsyncPool(4, call)


def _batches(wait: Wait) -> Pool:
    return BatchPool(
        4, BatchCall(lambda values: [wait(value) for value in values], lambda value: value, takes_contexts=False), 1
    )


KINDS: Dict[str, Callable[[Wait], Pool]] = {"threads": _threads, "coroutines": _coroutines, "batches": _batches}


@pytest.mark.parametrize("kind", KINDS)
def test_a_topic_has_no_more_than_its_share_and_nothing_of_it_is_left_lying(kind: str) -> None:
    started_ones: List[Optional[bytes]] = []
    go_on = threading.Event()

    def wait(value: Optional[bytes]) -> None:
        started_ones.append(value)
        if value == b"slow":
            go_on.wait(10)

    pool = KINDS[kind](wait)
    pool.turns = turns.of_settings(some_settings(topic_tables={"^slow": {"threads_share": 0.5}}))
    partitions = [Partition(topic, 0) for topic in ("slow-1", "slow-2", "quick")]
    with started(pool):
        for partition in partitions:
            value = partition.topic[:4].encode()
            segment = partition.tracker.take(0, 5)[0]
            tasks: List[Any] = [(at, segment, Message(at, value=value), None, 1, partition) for at in range(5)]
            partition.queue.extend(tasks)
        pool.serve([partition.queue for partition in partitions])
        pool.wake(15)
        eventually(lambda: started_ones.count(b"quic") == 5 and len(pool.running()) == 2, 10, "the quick ones done")

        assert started_ones.count(b"slow") == 2
        assert pool.full("slow-1")
        assert not pool.full("quick")

        go_on.set()
        eventually(lambda: [partition.tracker.watermark() for partition in partitions] == [5, 5, 5], 10, "all done")


@pytest.mark.parametrize("tasks", [0, 1])
@pytest.mark.parametrize("kind", ["threads", "batches"])
def test_who_finds_nothing_wakes_nobody_though_there_was_room_for_one_only(kind: str, tasks: int) -> None:
    """The next one would find nothing either, and wake the next: without an end. A task without a permit is nothing, too:
    while a breaker tries, or a rate is limited."""
    pool, permits = KINDS[kind](lambda _value: None), Permits()
    permits.extend([None] * (1 - tasks))
    pool.turns = turns.of_settings(some_settings(topic_tables={"slow": {"threads_share": 0.25}}))
    partition = Partition("slow", 0)
    partition.queue.extend([(0, partition.tracker.take(0)[0], Message(0), None, 1, partition)] * tasks)
    served = PermitQueue(partition.queue, permits)
    pool.serve([served])
    share = pool._shares["slow"]

    assert not pool._serve_within(pool.threads[0], served)
    assert pool._tokens.empty()

    assert [share.enter(4), share.enter(4)] == [True, False]  # who is kept out meanwhile may have seen a permit
    assert share.leave(4, served=False)
    assert share.enter(4)
    assert not share.leave(4, served=False)
