"""Back-pressure: which partitions to pause and which to resume, so that no more than `MAX_IN_FLIGHT` tasks are in flight in a
process, no more bytes than its share of a MEMORY_LIMIT, and one slow partition can't take the room of the others.

Half of the room belongs to the partitions in equal parts: whatever the others do, each has its *own* part. The other half is
*common*, and lent to those that have something in flight, in equal parts, of which one is kept for whoever comes next. So a
busy partition among idle ones has a quarter of the room and more, and still nobody can be shut out by it.

Pausing throws away what the client has prefetched of the partition, so there is a distance between the limit at which a
partition is paused and the one at which it is resumed.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Iterable, List, Tuple

from kafka_worker.kafka.consumer import GroupConsumer
from kafka_worker.partitions.assignment import Assignment, Partition
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import memory

LARGEST_BATCH = 500  # messages; beyond it a batch gets no cheaper (measured: 100 to 500 is best)
WAIT_SECONDS = 0.02  # quick handlers make room sooner than a pause would pay (it throws the prefetched messages away)
NAP_SECONDS = 0.0003
OVERHEAD = 500  # bytes that a message costs beside its value: its objects, its key, its task

#: What a partition has in flight: the partition, the number of messages, what they weigh as a number of messages (that number,
#: or a larger one), and what one more is likely to weigh. A plain tuple, because there is one for each partition in each turn.
Load = Tuple[Partition, int, int, int]


class Backpressure:
    """Pauses and resumes the partitions of one process. Consumer thread only."""

    def __init__(self, settings: Settings, hurried: Callable[[], bool], clock: Callable[[], float]) -> None:
        """`hurried()`: whether there is no time to wait for handlers."""
        self._limits = Limits(settings.max_in_flight)
        shares = memory.shares(settings)
        # What sleeps in retry topics has as much room as all else, and both together have the share.
        parts = 2 if settings.retry_topics else 1
        self._weights = MessageWeights(shares.in_flight // parts, settings.max_in_flight) if shares else None
        self._hurried = hurried
        self._clock = clock

    def note(self, partition: Partition, batch: List[Any]) -> None:
        """These messages were just taken."""
        if self._weights:
            self._weights.note(partition, batch)

    def apply(self, consumer: GroupConsumer, assignment: Assignment) -> int:
        """Pause and resume what must be; how many messages may be fetched now."""
        until = self._clock() + WAIT_SECONDS
        while True:
            numbers = [(partition, partition.tracker.in_flight) for partition in assignment]
            loads = [(partition, number, number, 1) for partition, number in numbers]
            if self._weights:
                loads = self._weights.weighed(loads)
            pause, resume, room = self._limits.decide(loads)
            if not pause or self._clock() >= until or self._hurried():
                break
            time.sleep(NAP_SECONDS)
        if pause:
            consumer.pause([(p.topic, p.number) for p in pause])
        if resume:
            consumer.resume([(p.topic, p.number) for p in resume])
        for partition in pause:
            partition.flow.pause()
        for partition in resume:
            partition.flow.resume()
        return room


class Limits:
    """Which partitions of one process must wait, by what each has in flight. Pure."""

    def __init__(self, max_in_flight: int) -> None:
        """`max_in_flight`: tasks, over all partitions."""
        self._limit = max_in_flight
        # One batch may all come from one partition: an eighth of the room leaves the others theirs.
        self._batch = max(1, min(LARGEST_BATCH, max_in_flight // 8))

    def decide(self, loads: Iterable[Load]) -> Tuple[List[Partition], List[Partition], int]:
        """(to pause, to resume, how many messages may be taken in one go). One that is held is paused whatever it has. One
        message at least, because a client that is not asked for messages does not serve its group either.

        What is in flight from retry topics sleeps, perhaps for hours: it has the same room once more for itself, or else a few
        batches of it would stop the ordinary topics, and is never what makes the process full."""
        ordinary: List[Load] = []
        sleeping: List[Load] = []
        for load in loads:
            (sleeping if load[0].retries_of else ordinary).append(load)
        pause, resume, room = self._decided(ordinary, flows=True)
        more = self._decided(sleeping, flows=False)
        return pause + more[0], resume + more[1], room

    def _decided(self, loads: List[Load], *, flows: bool) -> Tuple[List[Partition], List[Partition], int]:
        """`flows`: what is in flight comes to its end soon, as a rule, so that others may wait for it."""
        count = max(1, len(loads))
        own = max(self._limit // (2 * count), min(1, self._limit // count))
        common = self._limit - count * own
        something = [load for load in loads if load[1]]
        share = max(1, own + common // min(count, len(something) + 1))
        counted = [_capped(load, share) if load[0].flow.held else load for load in something]
        lent = sum([weight - own for _, _, weight, _ in counted if weight > own])
        scarce = lent >= max(1, common)
        full = flows and sum([number for _, number, _, _ in counted]) >= self._limit
        most = min(1, own) if full else own if scarce else share
        # What is too heavy for its partition's own part waits for what others have borrowed, if that comes back.
        wait = flows and scarce and any(weight > own and not partition.flow.held for partition, _, weight, _ in something)
        pause: List[Partition] = []
        resume: List[Partition] = []
        for partition, _, weight, step in loads:
            stop = bool(partition.flow.held) or weight >= most or (wait and weight + step > own)
            if stop and not partition.flow.paused:
                pause.append(partition)
            elif partition.flow.paused and not stop and weight <= most // 2:
                resume.append(partition)
        left = 1 if scarce else self._limit - sum([weight for _, _, weight, _ in counted])
        return pause, resume, max(1, min(self._batch, left))


def _capped(load: Load, share: int) -> Load:
    """What counts of a partition that is held: nobody knows for how long, so that neither a message heavier than all that may
    be in flight, nor what it had before others came, is what they wait for."""
    partition, number, weight, step = load
    return partition, min(number, share), min(weight, max(number, share)), step


class MessageWeights:
    """What the messages in flight weigh, so that large ones are bounded by bytes as all are by number. Not there at all
    without a MEMORY_LIMIT. A weight is expressed as the number of messages that may be in flight instead of it: so there is
    one measure only."""

    def __init__(self, most_bytes: int, max_in_flight: int) -> None:
        """`most_bytes` in flight count as much as `max_in_flight` messages."""
        self._bytes = most_bytes
        self._messages = max_in_flight
        self._largest = 0
        self._last = 0  # bytes, of whichever partition

    def note(self, partition: Partition, batch: Iterable[Any]) -> None:
        """These messages were just taken."""
        for message in batch:
            weight = len(message) + OVERHEAD
            partition.tracker.weigh(message.offset(), weight)
            self._largest = max(self._largest, weight)
            self._last = weight

    def weighed(self, loads: List[Load]) -> List[Load]:
        """The loads with larger numbers, where messages weigh more than so many may."""
        if 2 * len(loads) * self._largest * sum([number for _, number, _, _ in loads]) < self._bytes:
            return loads  # below what each partition may have in any case, even if all were as large as the largest
        return [self._weighed(partition, number) for partition, number, _, _ in loads]

    def _weighed(self, partition: Partition, number: int) -> Load:
        """The next message is likely to weigh as much as its partition's last one, or that of whichever partition."""
        tracker = partition.tracker
        step = max(1, self._as_messages(tracker.last_weight or self._last))
        return partition, number, max(number, self._as_messages(tracker.weight)), step

    def _as_messages(self, weight: int) -> int:
        return -(-weight * self._messages // self._bytes)
