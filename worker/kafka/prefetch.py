"""What is fetched ahead: it waits in the client's queue, or in hand (see `flow`), until there is room for it.

A pause makes the client throw away what it has of a partition, and whatever is on its way, and fetch it again later. So as
long as something is in hand nothing more is taken from the client, whose queue fills up then, so that it fetches no more by
itself. But its queue is one for all partitions, and for what it has to tell: the messages of one partition are in the way of
another's. So it is emptied into the hands many times a second; the more there is in hand, the more seldom. Paused is what does
not move, and what has far more than can be used soon: at that moment nothing is in the client, and as a rule nothing on its
way. What fills the memory and does not move while others have nothing goes back to the broker.

(What the group has to say overtakes messages: before a rebalance the client pauses all partitions itself, and the answer to a
commit has priority. Errors wait with the messages.)
"""

from __future__ import annotations

import math
import threading
from typing import Any, Callable, Iterable, List

from kafka_worker.kafka.backpressure import OVERHEAD, Backpressure
from kafka_worker.kafka.consumer import GroupConsumer
from kafka_worker.partitions.assignment import Assignment, Partition
from kafka_worker.partitions.flow import Attention
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import memory

BATCH = 500  # messages; beyond it a batch gets no cheaper (measured: 100 to 500 is best)
ONE_FETCH = 4096  # messages, or less, are taken at once where they are soon used up: the client rests while it has a thousand
EMPTY_SECONDS = 0.075  # the longest that the client's queue is left with something in it; a fetch is complete by then
# In which what is in hand is used up: time to fetch more. A client of which all partitions are paused looks only once a second
# whether they still are.
SCARCE_SECONDS = 1.25
SCARCE = 256  # messages, or less, are scarce, however long they take
PLENTY = 2048  # messages that take longer are plenty: the client's queue may wait
LEFT_SECONDS = 0.5  # as EMPTY_SECONDS, where there is plenty; what the group says is heard as often
AMPLE = 2  # times plenty: it may wait longer
AMPLE_SECONDS = 2.0
MUCH = 4  # times plenty: a client that waits stops by itself, but here it has to be told
MOVING_SECONDS = 1.0  # of what nothing was taken in this time, while something was of others, is blocked
FULL_SECONDS = 5.0  # as EMPTY_SECONDS, while there is no memory for more: then what is in it is fetched again
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
        self._moved_at = -math.inf  # when something had been taken from hand since the look before

    def turn(self, consumer: GroupConsumer, assignment: Assignment, deliver: Deliver, patience: float) -> None:
        """Once in a turn: take messages if that is right, or wait for room, for up to `patience` seconds."""
        attention = assignment.attention
        for partition in attention.busy:
            partition.flow.was_served()
        self._look(attention)
        self._resume(consumer, assignment)
        in_hand = [partition.flow for partition in attention.busy if partition.flow.waiting]
        waits = any(flow.may_start for flow in in_hand)
        pause = min(patience, self._room.pace, WAIT_SECONDS)
        wanted = min(ONE_FETCH, self._room.rate * EMPTY_SECONDS) - sum([flow.waiting for flow in in_hand if not flow.paused])
        if wanted >= 0:
            batch = consumer.fetch(BATCH, POLL_SECONDS if waits else patience)
            deliver(batch)
            while wanted > len(batch) and not consumer.emptied:
                wanted -= len(batch)
                batch = consumer.fetch(BATCH, POLL_SECONDS)
                deliver(batch)
            if consumer.emptied:
                self._emptied_at = self._tried_at = self._clock()
                _pause(consumer, list(attention.held))
            if waits and not batch:
                self._idle.wait(pause)
            return
        plenty = _useful(attention) / self._number(PLENTY)
        left = self._tried_at + (LEFT_SECONDS if plenty > 1 else EMPTY_SECONDS) - self._clock()
        if left > 0:
            # Nothing else is looked for: who finds nothing to do ends this, and a third of what is in flight has ended.
            self._idle.wait(min(patience, self._room.pace, left))
        else:
            self._empty(consumer, assignment, deliver, ample=plenty > AMPLE)

    def _look(self, attention: Attention) -> None:
        """Which move: of what is blocked, what is in hand is of no use to anybody for now."""
        now = self._clock()
        if now < self._moved_at + MOVING_SECONDS or not self._room.took:
            return
        self._moved_at, self._room.took = now, False
        for partition in attention.busy:
            partition.flow.look()

    def _resume(self, consumer: GroupConsumer, assignment: Assignment) -> None:
        """Fetch more of what is nearly used up."""
        attention = assignment.attention
        if self._full:
            self._full = sum(map(_weight, attention.busy)) > self._most / 2
        if self._full:
            self._give_back(consumer, assignment)
            return
        resume = [p for p in self._scarce(attention.paused, attention) if _may_come(p)] if attention.paused else []
        if resume:
            consumer.resume([(p.topic, p.number) for p in resume])
        for partition in resume:
            partition.flow.resume()

    def _empty(self, consumer: GroupConsumer, assignment: Assignment, deliver: Deliver, *, ample: bool) -> None:
        """Take all that the client has, and let it fetch no more of what enough is in hand of."""
        room = self._most - sum(map(_weight, assignment.attention.busy))
        if ample and self._clock() < self._emptied_at + AMPLE_SECONDS:
            room = 0
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
        if self._full:
            _pause(consumer, list(assignment))
            return
        attention = assignment.attention
        much = sum([p.flow.waiting for p in attention.busy]) > MUCH * self._number(PLENTY)
        too_much = [p for p in attention.busy if much or not p.flow.moving]
        scarce = set(self._scarce(too_much, attention))
        _pause(consumer, [*attention.held, *(p for p in too_much if p not in scarce and not p.flow.held)])

    def _give_back(self, consumer: GroupConsumer, assignment: Assignment) -> None:
        """All that may be in hand is, and is of no use for long, while others have nothing: the heaviest goes. It comes again
        when something of its partition has ended."""
        if self._clock() < self._moved_at + FULL_SECONDS:
            return
        starved = any(not (partition.flow.waiting or partition.flow.held) for partition in assignment)
        if not starved:
            return
        heaviest = max(assignment, key=_weight)
        give_back(consumer, heaviest)
        heaviest.flow.comes_below = max(1, heaviest.tracker.in_flight)  # of which nothing is in flight may come at once

    def _number(self, least: int) -> float:
        """So many messages are scarce, or `least`."""
        return max(least, self._room.rate * SCARCE_SECONDS)

    def _scarce(self, partitions: Iterable[Partition], attention: Attention) -> List[Partition]:
        """Those of these of which so little is in hand that it is time to fetch more."""
        parts = max(1, sum([1 for partition in attention.busy if partition.flow.waiting]))
        number, weight = self._number(SCARCE) / parts, self._most / (4 * parts)
        return [p for p in partitions if p.flow.waiting <= number and p.flow.weight <= weight]


def give_back(consumer: GroupConsumer, partition: Partition, offset: int = -1) -> None:
    """What was delivered from this offset on (-1: nothing was), and what is in hand, comes again when the partition is
    resumed: here it would take the memory of others, nobody knows for how long."""
    if partition.flow.waiting:
        in_hand = int(partition.flow.first.offset())
        offset = min(offset, in_hand) if offset >= 0 else in_hand
    name = (partition.topic, partition.number)
    consumer.pause([name])
    partition.flow.pause()
    partition.flow.drop()
    if offset >= 0:
        consumer.rewind(name, offset, when_resumed=True)


def _pause(consumer: GroupConsumer, partitions: List[Partition]) -> None:
    pause = [partition for partition in partitions if not partition.flow.paused]
    if pause:
        consumer.pause([(p.topic, p.number) for p in pause])
    for partition in pause:
        partition.flow.pause()


def _may_come(partition: Partition) -> bool:
    return not partition.flow.held and partition.tracker.in_flight < partition.flow.comes_below


def _weight(partition: Partition) -> int:
    return partition.flow.weight + OVERHEAD * partition.flow.waiting


def _useful(attention: Attention) -> int:
    """Messages in hand of what moves."""
    return sum([partition.flow.waiting for partition in attention.busy if partition.flow.moving])
