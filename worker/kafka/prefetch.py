"""What is fetched ahead: it waits in the client's queue, or in hand (see `flow`), until there is room for it.

A pause makes the client throw away what it has of a partition, and whatever is on its way, and fetch it again later. So as
long as something is in hand nothing more is taken from the client, whose queue fills up then, so that it fetches no more by
itself. But its queue is one for all partitions, and for what it has to tell: it has to be emptied many times a second, or else
the messages of one partition are in the way of another's. If there is no room for all of it by then, it is taken in hand
first, and what is in hand is paused then: at that moment nothing is in the client, and as a rule nothing on its way.

(What the group has to say overtakes messages: before a rebalance the client pauses all partitions itself, and the answer to a
commit has priority. Errors wait with the messages.)
"""

from __future__ import annotations

import threading
from typing import Any, Callable, List

from kafka_worker.kafka.backpressure import OVERHEAD, Backpressure
from kafka_worker.kafka.consumer import GroupConsumer
from kafka_worker.partitions.assignment import Assignment, Partition
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import memory

BATCH = 500  # messages; beyond it a batch gets no cheaper (measured: 100 to 500 is best)
EMPTY_SECONDS = 0.075  # the longest that the client's queue is left with something in it; a fetch is complete by then
MUCH_SECONDS = 0.5  # in which what is in hand is used up: less is no reason for a pause
FULL_SECONDS = 5.0  # the same while there is no memory for more: then what is in it is fetched again
WAIT_SECONDS = 0.02  # for room, between two looks at what the client has of others
POLL_SECONDS = 0.001  # for nothing in particular
LARGE_BATCH = 1000  # to empty the client by: the last ones have to be taken in less than `fetch.queue.backoff.ms`
MOST_BATCHES = 12  # more than the client has, if the broker does not send more meanwhile

Deliver = Callable[[List[Any]], None]


class Prefetch:
    """Decides when to take messages from the client, and which partitions it fetches. Consumer thread only."""

    def __init__(self, settings: Settings, room: Backpressure, idle: threading.Event, clock: Callable[[], float]) -> None:
        """`idle` is set by handler threads that find nothing to do."""
        shares = memory.shares(settings)
        self._most = shares.prefetch if shares else memory.MOST_PREFETCH_BYTES
        self._room = room
        self._idle = idle
        self._clock = clock
        self._full = False  # more is in hand than `_most`, and all partitions are paused
        self._tried_at = 0.0  # when the client's queue was emptied the last time, as far as there was memory
        self._emptied_at = 0.0  # when nothing was left in it

    def turn(self, consumer: GroupConsumer, assignment: Assignment, deliver: Deliver, patience: float) -> None:
        """Once in a turn: take messages if that is right, or wait for room, for up to `patience` seconds."""
        self._resume(consumer, assignment)
        in_hand = [partition.flow for partition in assignment if partition.flow.waiting]
        waits = any(flow.may_start for flow in in_hand)
        pause = min(patience, self._room.pace, WAIT_SECONDS)
        if sum([flow.waiting for flow in in_hand if not flow.paused]) <= self._room.rate * EMPTY_SECONDS:
            batch = consumer.fetch(BATCH, POLL_SECONDS if waits else patience)
            deliver(batch)
            if consumer.emptied:
                self._emptied_at = self._tried_at = self._clock()
                _pause(consumer, [p for p in assignment if p.flow.held])
            if waits and not batch:
                self._idle.wait(pause)
            return
        left = self._tried_at + EMPTY_SECONDS - self._clock()
        if left > 0:
            self._idle.wait(min(pause, left))
        else:
            self._empty(consumer, assignment, deliver)

    def _resume(self, consumer: GroupConsumer, assignment: Assignment) -> None:
        """Fetch more of what is nearly used up."""
        if self._full:
            self._full = sum(map(_weight, assignment)) > self._most / 2
        resume = [p for p in assignment if p.flow.paused and p.flow.scarce and not (p.flow.held or self._full)]
        if resume:
            consumer.resume([(p.topic, p.number) for p in resume])
        for partition in resume:
            partition.flow.resume()

    def _empty(self, consumer: GroupConsumer, assignment: Assignment, deliver: Deliver) -> None:
        """Take all that the client has, and let it fetch no more of what enough is in hand of."""
        room = self._most - sum(map(_weight, assignment))
        for _ in range(MOST_BATCHES):
            batch = consumer.fetch(LARGE_BATCH if room > 0 else 1, POLL_SECONDS)  # one, to hear what the group has to say
            deliver(batch)
            room -= sum(map(len, batch)) + OVERHEAD * len(batch)
            if consumer.emptied or room <= 0:
                break
        self._tried_at = now = self._clock()
        if room <= 0 and not consumer.emptied and now < self._emptied_at + FULL_SECONDS:
            return
        self._full = room <= 0 and not consumer.emptied
        self._emptied_at = now
        much = sum([p.flow.waiting for p in assignment]) > self._room.rate * MUCH_SECONDS
        _pause(consumer, [p for p in assignment if self._full or p.flow.held or (much and not p.flow.scarce)])


def _pause(consumer: GroupConsumer, partitions: List[Partition]) -> None:
    pause = [partition for partition in partitions if not partition.flow.paused]
    if pause:
        consumer.pause([(p.topic, p.number) for p in pause])
    for partition in pause:
        partition.flow.pause()


def _weight(partition: Partition) -> int:
    return partition.flow.weight + OVERHEAD * partition.flow.waiting
