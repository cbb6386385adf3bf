"""What is fetched ahead: it waits in the client's queue, or in hand (see `flow`), until there is room for it.

A pause makes the client throw away what it has of a partition, and whatever is on its way, and fetch it again later. So while
something is in hand nothing more is taken from the client: its queue fills up, and it stops fetching by itself. But it has one
queue for all partitions, and for what it has to tell: the messages of one partition are in the way of another's. So the queue
is emptied into the hands many times a second; the more there is in hand, the less often. What does not move is paused, and
what has far more than can be used soon: at that moment nothing is in the client, and usually nothing on its way. What fills
the memory while others have nothing goes back to the broker: all of it, if it does not move; all but what is used soon, if it
has a pace of its own (one key, slow tasks) and handler threads find nothing to do.

(What the group has to say overtakes messages: before a rebalance the client pauses all partitions itself, and the answer to a
commit has priority. Errors wait with the messages.)
"""

from __future__ import annotations

import math
import threading
from typing import Any, Callable, Iterable, List, Protocol, Tuple

from kafka_worker.kafka.consumer import GroupConsumer
from kafka_worker.kafka.incoming.backpressure import OVERHEAD, Backpressure
from kafka_worker.partitions.assignment import Assignment, Partition
from kafka_worker.partitions.flow import Attention
from kafka_worker.partitions.task import Task
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import memory

BATCH = 500  # messages; beyond it a batch gets no cheaper (measured: 100 to 500 is best)
ONE_FETCH = 4096  # messages, or less, are taken at once if they are soon used up: the client rests while it has a thousand
EMPTY_SECONDS = 0.075  # the longest that something is left in the client's queue; a fetch is complete by then
# When what is in hand is used up within this time, fetch more. A client with all partitions paused looks only once a second
# whether they still are.
SCARCE_SECONDS = 1.25
SCARCE = 256  # messages, or less, are scarce, however long they take
PLENTY = 2048  # messages that last longer are plenty: the client's queue may wait
LEFT_SECONDS = 0.5  # as EMPTY_SECONDS, when there is plenty; what the group says is heard as often
AMPLE = 2  # times plenty: it may wait longer
AMPLE_SECONDS = 2.0
MUCH = 4  # times plenty: a client that waits stops by itself, but here it has to be told
OWN_SECONDS = 5.0  # worth of its own work in hand is enough for any partition: more is in the way of others
MOVING_SECONDS = 1.0  # a partition of which nothing was taken in this time, while something was of others, is blocked
FULL_SECONDS = 5.0  # as EMPTY_SECONDS, while there is no memory for more: then a little more is taken, and all are paused
WAIT_SECONDS = 0.02  # for room, between two looks at what the client has of others
POLL_SECONDS = 0.001  # for nothing in particular
QUICK_SECONDS = 2 * POLL_SECONDS  # a poll would be a large part of this
WAITED_SECONDS = 0.1  # this often a fetch waits nevertheless: only then does the client surely count it as a poll
LARGE_BATCH = 1000  # for emptying the client: the last ones have to be taken within `fetch.queue.backoff.ms`
MOST_BATCHES = 12  # more than the client has, if the broker does not send more meanwhile

Deliver = Callable[[List[Any]], None]


class Runner(Protocol):
    """Who runs tasks, as far as it matters here."""

    idle: threading.Event  # set by handler threads that find nothing to do

    @property
    def capacity(self) -> int:
        """How many calls may run at once."""

    def running(self) -> Iterable[Tuple[object, Task]]:
        """Who runs what now."""


class Prefetch:
    """Decides when to take messages from the client, and which partitions it fetches. Consumer thread only."""

    def __init__(self, settings: Settings, backpressure: Backpressure, runner: Runner, clock: Callable[[], float]) -> None:
        """Nothing is in hand."""
        shares = memory.shares(settings)
        self._most = shares.prefetch if shares else memory.MOST_PREFETCH_BYTES
        self._backpressure = backpressure
        self._max_in_flight = settings.max_in_flight
        self._runner = runner
        self._idle = runner.idle
        self._clock = clock
        self._full = False  # more is in hand than `_most`, and all partitions are paused
        self._tried_at = 0.0  # when the client's queue was emptied the last time, as far as there was memory
        self._emptied_at = 0.0  # when nothing was left in it
        self._waited_at = -math.inf  # when a fetch waited, although something was in hand
        self._moved_at = -math.inf  # when something had been taken from hand since the look before

    def turn(self, consumer: GroupConsumer, assignment: Assignment, deliver: Deliver, patience: float) -> None:
        """Once in a turn: take messages if it is time to, or wait for room, for up to `patience` seconds."""
        attention = assignment.attention
        for partition in attention.busy:
            partition.flow.was_served()
        self._measure(attention)
        self._resume(consumer, assignment)
        in_hand = [partition.flow for partition in attention.busy if partition.flow.waiting]
        waits = any(flow.may_start for flow in in_hand)
        hungry = waits and self._hungry(attention)
        pause = min(patience, self._backpressure.pace, WAIT_SECONDS)
        wanted = min(ONE_FETCH, self._backpressure.rate * EMPTY_SECONDS) - sum(
            [flow.waiting for flow in in_hand if not flow.paused]
        )
        full = sum([flow.weight + OVERHEAD * flow.waiting for flow in in_hand]) > self._most
        if full and wanted >= 0 and len(attention.paused) < len(assignment) and self._may_run(self._max_in_flight):
            self._make_room(consumer, attention, self._most)  # what is paused fills the memory
        if wanted >= 0 and not full:
            glance = self._glance(pause if hungry else POLL_SECONDS) if waits else patience
            batch = consumer.fetch(BATCH, glance)
            deliver(batch)
            while wanted > len(batch) and not consumer.emptied:
                wanted -= len(batch)
                batch = consumer.fetch(BATCH, POLL_SECONDS)
                deliver(batch)
            if consumer.emptied:
                self._emptied_at = self._tried_at = self._clock()
                _pause(consumer, list(attention.held))
            if waits and not (batch or (hungry and glance >= POLL_SECONDS)):  # the client counts whole milliseconds
                self._idle.wait(pause)
            return
        plenty = _useful(attention) / self._number(PLENTY)
        left = self._tried_at + (LEFT_SECONDS if plenty > 1 else EMPTY_SECONDS) - self._clock()
        if left > 0:
            # Nothing else is looked for: who finds nothing to do ends this, and a third of what is in flight has ended.
            self._idle.wait(min(patience, self._backpressure.pace, left))
        else:
            self._empty(consumer, assignment, deliver, ample=plenty > AMPLE, hungry=hungry)

    def _hungry(self, attention: Attention) -> bool:
        """Whether more calls could run than there are tasks for, although all that may start of what is in hand was started:
        the rest waits for its own kind, as messages of one key do."""
        # Half of what may be in flight may have to be of other partitions.
        return not any(partition.queue.tasks for partition in attention.busy) and self._may_run(self._max_in_flight // 2)

    def _may_run(self, most: int) -> bool:
        """Whether more calls could run than do, up to `most`."""
        return len({id(thread) for thread, _ in self._runner.running()}) < min(self._runner.capacity, most)

    def _glance(self, longest: float) -> float:
        """How long to wait for the client while something is in hand: not at all if handlers would be done meanwhile."""
        now = self._clock()
        if self._backpressure.pace < QUICK_SECONDS and now < self._waited_at + WAITED_SECONDS:
            return 0.0
        self._waited_at = now
        return longest

    def _measure(self, attention: Attention) -> None:
        """Find out which partitions move: what is in hand of a blocked one is of no use to anybody for now."""
        now = self._clock()
        if now < self._moved_at + MOVING_SECONDS or not self._backpressure.took:
            return
        seconds, self._moved_at, self._backpressure.took = now - self._moved_at, now, False
        for partition in attention.busy:
            partition.flow.measure(seconds)

    def _resume(self, consumer: GroupConsumer, assignment: Assignment) -> None:
        """Fetch more of what is nearly used up."""
        attention = assignment.attention
        if self._full:
            self._full = sum(map(_weight, attention.busy)) > self._most / 2
        if self._full:
            if self._hungry(attention):
                self._make_room(consumer, attention, self._share(attention) / 2)
            self._give_back(consumer, assignment)
            return
        resume = [p for p in self._scarce(attention.paused, attention) if _may_come(p)] if attention.paused else []
        if resume:
            consumer.resume([p.name for p in resume])
        for partition in resume:
            partition.flow.resume()

    def _empty(self, consumer: GroupConsumer, assignment: Assignment, deliver: Deliver, *, ample: bool, hungry: bool) -> None:
        """Take all that the client has, and have it fetch no more of partitions that have enough in hand."""
        attention = assignment.attention
        weight, waiting = sum(map(_weight, attention.busy)), sum([partition.flow.waiting for partition in attention.busy])
        room = self._most - weight
        if ample and not hungry and self._clock() < self._emptied_at + AMPLE_SECONDS:
            room = 0
        # All are paused soon, and what the client has then is fetched again: so that is taken first. But fetching goes on when
        # half of what is in hand is used up, and that must last longer than a client needs to see it.
        last = self._clock() >= self._emptied_at + FULL_SECONDS and waiting > 2 * self._number(0)
        least = -self._most / 2 if last else 0.0
        for _ in range(MOST_BATCHES):
            fits = LARGE_BATCH if room > 0 else min(LARGE_BATCH, int((room - least) * waiting / max(1, weight)))
            batch = consumer.fetch(max(1, fits), POLL_SECONDS)  # one, to hear what the group has to say
            deliver(batch)
            room -= sum(map(len, batch)) + OVERHEAD * len(batch)
            if consumer.emptied or room <= least:
                break
        self._tried_at = now = self._clock()
        if room <= 0 and not (consumer.emptied or last):
            if hungry and attention.busy:  # all that was in hand may have gone while the client was asked
                self._make_room(consumer, attention, self._share(attention) / 2)
            return
        self._full = room <= 0 and last
        self._emptied_at = now
        if self._full:
            _pause(consumer, list(assignment))
            return
        too_much = self._too_much(assignment, hungry=hungry)
        scarce = set(self._scarce(too_much, attention))
        _pause(consumer, [*attention.held, *(p for p in too_much if p not in scarce and not p.flow.held)])

    def _too_much(self, assignment: Assignment, *, hungry: bool) -> List[Partition]:
        """The partitions that have enough in hand."""
        busy, share = assignment.attention.busy, self._share(assignment.attention)
        if sum([partition.flow.waiting for partition in busy]) > MUCH * self._number(PLENTY):
            return list(busy)
        if hungry:
            return [p for p in busy if p.flow.waiting > _usable(p) or _weight(p) > share]
        stuck = [p for p in busy if not p.flow.moving]
        heavy = [p for p in busy if p.flow.moving and p.flow.pace < math.inf and _weight(p) > share]
        all_of_them = len(stuck) + len(heavy) + len(assignment.attention.held) >= len(assignment)
        return stuck if all_of_them else stuck + heavy  # for a client that has nothing to fetch sleeps

    def _give_back(self, consumer: GroupConsumer, assignment: Assignment) -> None:
        """The hands are full of what is of no use for long, while others have nothing: the heaviest goes. It comes again when
        something of its partition has ended."""
        if self._clock() < self._moved_at + FULL_SECONDS:
            return
        starved = any(not (partition.flow.waiting or partition.flow.held) for partition in assignment)
        if starved and self._may_run(self._max_in_flight):
            _send_back(consumer, max(assignment, key=_weight), kept=0)

    def _make_room(self, consumer: GroupConsumer, attention: Attention, most: float) -> None:
        """What fills the memory is of no use soon, and threads find nothing to do: of the heaviest, what is not used soon
        goes, and more if it is more than `most` bytes."""
        heaviest = max(attention.busy, key=_weight)
        fits = heaviest.flow.waiting * most / max(1, _weight(heaviest))
        kept = int(min(fits, _usable(heaviest)))
        if heaviest.flow.waiting > kept:
            _send_back(consumer, heaviest, kept=kept)

    def _share(self, attention: Attention) -> float:
        """How many bytes one partition may have in hand while others may want some."""
        return self._most / (1 + max(1, _parts(attention)))

    def _number(self, least: int) -> float:
        """This many messages are scarce; at least `least`."""
        return max(least, self._backpressure.rate * SCARCE_SECONDS)

    def _scarce(self, partitions: Iterable[Partition], attention: Attention) -> List[Partition]:
        """Those of these that have so little in hand that it is time to fetch more."""
        parts = max(1, _parts(attention))
        number, weight = self._number(SCARCE) / parts, self._share(attention) / 2
        return [p for p in partitions if p.flow.waiting <= number and p.flow.weight <= weight]


def give_back(consumer: GroupConsumer, partition: Partition, offset: int = -1, kept: int = 0) -> None:
    """What was delivered from this offset on (-1: nothing), and what is in hand beyond the first `kept`, comes again when the
    partition is resumed: here it would take up others' memory, nobody knows for how long."""
    if partition.flow.waiting > kept:
        in_hand = partition.flow.offset_of(kept)
        offset = min(offset, in_hand) if offset >= 0 else in_hand
    consumer.pause([partition.name])
    partition.flow.pause()
    partition.flow.drop(kept)
    if offset >= 0:
        partition.comes_again(offset)
        consumer.rewind(partition.name, offset, when_resumed=True)


def _send_back(consumer: GroupConsumer, partition: Partition, *, kept: int) -> None:
    """What is in hand of it beyond `kept` is of no use for long. It comes again when half of these have begun; if all goes,
    when something of it has ended, or at once if nothing is in flight."""
    give_back(consumer, partition, kept=kept)
    partition.flow.comes_below = max(1, partition.tracker.in_flight + kept / 2)


def _pause(consumer: GroupConsumer, partitions: List[Partition]) -> None:
    pause = [partition for partition in partitions if not partition.flow.paused]
    if pause:
        consumer.pause([p.name for p in pause])
    for partition in pause:
        partition.flow.pause()


def _may_come(partition: Partition) -> bool:
    return not partition.flow.held and partition.tracker.in_flight + partition.flow.waiting < partition.flow.comes_below


def _parts(attention: Attention) -> int:
    """How many partitions have something in hand."""
    return sum([1 for partition in attention.busy if partition.flow.waiting])


def _weight(partition: Partition) -> int:
    return partition.flow.weight + OVERHEAD * partition.flow.waiting


def _usable(partition: Partition) -> float:
    """How many messages in hand are of use soon."""
    flow = partition.flow
    return OWN_SECONDS * flow.pace if flow.may_start else 0.0


def _useful(attention: Attention) -> float:
    """How many messages in all hands are of use soon."""
    return float(sum([min(partition.flow.waiting, _usable(partition)) for partition in attention.busy]))
