"""Back-pressure: how much of what was fetched is taken of which partition, so that no more than `MAX_IN_FLIGHT` tasks are in
flight in a process, no more bytes than its share of a MEMORY_LIMIT, and one slow partition can't take the room of the others.
What there is no room for waits (see `prefetch`).

Half of the room belongs to the partitions in equal parts: whatever the others do, each has its *own* part. The other half is
*common*, and lent to those that have something in flight, in equal parts, of which one is kept for whoever comes next. So a
busy partition among idle ones has a quarter of the room or more, and still it can't shut anybody out. If half the room is less
than one message per partition, an own part is one message, for as many partitions as there are places: those that have
something.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable, List, Tuple

from kafka_worker.partitions.assignment import Assignment, Partition
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import memory

MEMORY = 0.8  # the share of what ended before the last look that still counts at this one
LEAST_PACE = 0.0005  # seconds: more often would cost more than it brings
OVERHEAD = 500  # bytes that a message costs beside its value: its objects, its key, its task
FEW = 8  # so many partitions each have an own part, if there is room for one message of each at all

#: What a partition has in flight: the partition, the number of messages, what they weigh as a number of messages (that number,
#: or a larger one), and what one more is likely to weigh. A plain tuple, because there is one for each partition in each turn.
Load = Tuple[Partition, int, int, int]


class Backpressure:
    """The room of one process. Consumer thread only."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        """Nothing is in flight."""
        self._shares = Shares(settings.max_in_flight)
        self._clock = clock
        self._looked_at = clock()
        self._ended = self._seconds = 0.0  # of late
        self._in_flight = 0  # or granted, when something last waited
        self.took = False  # something was taken since this was last reset
        self.rate = 0.0  # tasks that end, per second
        self.pace = 0.0  # seconds until a third of what is in flight has ended, at the present rate
        shares = memory.shares(settings)
        # What sleeps in retry topics has as much room as all else; both together have the share.
        parts = 2 if settings.retry_topics else 1
        self._weights = MessageWeights(shares.in_flight // parts, settings.max_in_flight) if shares else None

    def note(self, partition: Partition, batch: List[Any]) -> None:
        """These messages were just taken."""
        if self._weights:
            self._weights.note(partition, batch)

    def granted(self, assignment: Assignment) -> List[Tuple[Partition, int]]:
        """How many more messages may be taken now of each partition in whose hand some wait. The others, if they have nothing
        in flight, count only by their number."""
        busy = assignment.attention.busy
        if not any(partition.flow.waiting for partition in busy):
            return []
        numbers = [(partition, partition.tracker.in_flight) for partition in busy]
        for partition in [each for each, number in numbers if not (number or each.flow.waiting)]:
            partition.flow.rest()
        loads = [(partition, number, number, 1) for partition, number in numbers if number or partition.flow.waiting]
        in_flight = sum([number for _, number, _, _ in loads])
        if self._weights:
            loads = self._weights.weighed(loads, len(assignment))
        granted = self._shares.granted(loads, len(assignment) - assignment.of_retries, assignment.of_retries)
        more = sum([min(number, partition.flow.waiting) for partition, number in granted])
        self.took = self.took or bool(granted)
        self._measure(in_flight, in_flight + more)
        return granted

    def _measure(self, before: int, after: int) -> None:
        """`before` were in flight, and now `after` are."""
        now = self._clock()
        self._ended = self._in_flight - before + MEMORY * self._ended
        self._seconds = now - self._looked_at + MEMORY * self._seconds
        self.rate = self._ended / max(LEAST_PACE, self._seconds)
        self.pace = max(LEAST_PACE, self._seconds * after / 3 / max(1.0, self._ended))
        self._looked_at, self._in_flight = now, after


class Shares:
    """How much each partition of one process may have in flight, given what all have. Pure but for whose turn it is."""

    def __init__(self, max_in_flight: int) -> None:
        """`max_in_flight`: tasks, over all partitions."""
        self._limit = max_in_flight
        self._turn = 0  # of the partition that is asked first

    def granted(self, loads: List[Load], ordinary_ones: int = 0, sleeping_ones: int = 0) -> List[Tuple[Partition, int]]:
        """How many more messages may be taken of each partition in whose hand some wait; none of one that is held.
        `ordinary_ones`, `sleeping_ones`: how many partitions there are of each kind; those without a load have nothing here.

        What is in flight from retry topics sleeps, perhaps for hours: it has the same room again for itself, or a few batches
        of it would stop the ordinary topics, and it never makes the process full."""
        self._turn += 1
        first = self._turn % max(1, len(loads))
        ordinary: List[Load] = []
        sleeping: List[Load] = []
        for load in [*loads[first:], *loads[:first]]:
            (sleeping if load[0].retries_of else ordinary).append(load)
        granted = self._granted(ordinary, ordinary_ones, flows=True)
        return granted + self._granted(sleeping, sleeping_ones, flows=False) if sleeping else granted

    def _granted(self, loads: List[Load], count: int, *, flows: bool) -> List[Tuple[Partition, int]]:
        """`flows`: what is in flight usually ends soon, so others may wait for it."""
        count = max(1, len(loads), count)
        own = max(1, self._limit // (2 * count))
        few = count if count <= min(FEW, self._limit) else 0
        reserve = min(own * count, max(self._limit // 2, few))  # all own parts together
        common = self._limit - reserve
        something = [load for load in loads if load[1]]
        wanted = sum([1 for partition, number, _, _ in loads if number or partition.flow.may_start])
        share = max(1, own + common // min(count, wanted + 1))
        counted = [_capped(load, share) if load[0].flow.held else load for load in something]
        reserved = min(reserve, sum([min(weight, own) for _, _, weight, _ in counted]))
        lent = sum([weight for _, _, weight, _ in counted]) - reserved
        scarce, lendable = lent >= max(1, common), max(0, common - lent)
        places = self._limit - sum([number for _, number, _, _ in counted])
        room = self._limit - lent - reserved
        most = min(1, reserve - reserved) if flows and places <= 0 else own if scarce else share
        # What is too heavy for its partition's own part waits until what others have borrowed comes back.
        wait = flows and scarce and any(weight > own and not partition.flow.held for partition, _, weight, _ in something)
        granted: List[Tuple[Partition, int]] = []
        for partition, _, weight, step in loads:
            if not partition.flow.may_start or weight >= most or (wait and weight + step > own):
                continue
            its_own = min(max(0, own - weight), reserve - reserved)
            lent_to_it = min(max(0, most - weight - its_own), lendable)
            number = min(its_own + lent_to_it, places if step == 1 else room) // step
            if number <= 0 and (granted if step > 1 else weight or not its_own):
                continue  # else it gets one in any case: from its own part, or because nothing of the others is so heavy
            number = max(1, number)
            granted.append((partition, number))
            reserved += min(its_own, number * step)
            lendable = max(0, lendable - max(0, number * step - its_own))
            places -= number
            room -= number * step
        return granted


def _capped(load: Load, share: int) -> Load:
    """What counts of a partition that is held, nobody knows for how long: the others must not wait for a message heavier than
    all that may be in flight, nor for what it had before they came."""
    partition, number, weight, step = load
    return partition, min(number, share), min(weight, max(number, share)), step


class MessageWeights:
    """What the messages in flight weigh, so that large ones are bounded by bytes as all are by number. It exists only with a
    MEMORY_LIMIT. A weight is expressed as the number of messages that may be in flight instead of it, so there is only one
    measure."""

    def __init__(self, most_bytes: int, max_in_flight: int) -> None:
        """`most_bytes` in flight count as much as `max_in_flight` messages."""
        self._bytes = most_bytes
        self._messages = max_in_flight
        self._largest = 0
        self._last = 0  # bytes, of any partition

    def note(self, partition: Partition, batch: Iterable[Any]) -> None:
        """These messages were just taken."""
        for message in batch:
            weight = len(message) + OVERHEAD
            partition.tracker.weigh(message.offset(), weight)
            self._largest = max(self._largest, weight)
            self._last = weight

    def weighed(self, loads: List[Load], count: int = 1) -> List[Load]:
        """The loads, with larger numbers where messages weigh more than that many may. `count`: of all partitions."""
        if 2 * max(count, len(loads)) * self._largest * sum([number for _, number, _, _ in loads]) < self._bytes:
            return loads  # less than each partition may have in any case, even if all were as large as the largest
        return [self._weighed(partition, number) for partition, number, _, _ in loads]

    def _weighed(self, partition: Partition, number: int) -> Load:
        """The next message is likely to weigh as much as its partition's last one, or else the last of any."""
        tracker = partition.tracker
        step = max(1, self._as_messages(tracker.last_weight or self._last))
        return partition, number, max(number, self._as_messages(tracker.weight)), step

    def _as_messages(self, weight: int) -> int:
        return -(-weight * self._messages // self._bytes)
