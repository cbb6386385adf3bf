"""The partitions that this child owns now. Pure; consumer thread only, but for what handler threads read of `closing`. A
partition that goes away and comes back is a new `Partition`: nothing of the old assignment survives, so a late result can't
move the new one's watermark."""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict, Iterator, List, Optional, Set, Tuple, Type

from kafka_worker.partitions.closing import Closing
from kafka_worker.partitions.dependencies import Dependencies
from kafka_worker.partitions.flow import Attention, Flow
from kafka_worker.partitions.lanes import Lanes
from kafka_worker.partitions.queues import FirstComeFirstServed, Queue
from kafka_worker.partitions.stored import Stored
from kafka_worker.partitions.tracker import Memory, Tracker, plain_memory
from kafka_worker.shared.ipc.snapshot import PartitionReport, TopicPartition


class Partition:
    """One assignment of one partition. What happens to it is in three objects of their own: `stored`, `closing`, `flow`."""

    __slots__ = (
        "_eof", "asked_end", "asked_first", "closing", "dependencies", "flow", "lanes", "name", "named", "number", "overdue",
        "parked", "queue", "retries_of", "stalled", "stored", "topic", "tracker", "void",
    )  # fmt: skip

    def __init__(
        self,
        topic: str,
        number: int,
        queue: Type[Queue] = FirstComeFirstServed,
        memory: Callable[[Partition, int], Memory] = lambda _partition, base: plain_memory(base),
        retries_of: str = "",
    ) -> None:
        """Assigned just now. `queue`: the kind of queue for tasks that may run; `memory` gives memory for completion flags;
        `retries_of`: if this is a retry topic, the topic its messages first came from."""
        self.topic, self.number = self.name = topic, number
        self.retries_of = retries_of
        self.tracker = Tracker(functools.partial(memory, self))
        self.lanes = Lanes(self.tracker)
        self.queue = queue()
        self.queue.topic = retries_of or topic
        self.dependencies = Dependencies()  # where its handlers report what they depend on
        self.stored = Stored()
        self.closing = Closing(self.tracker)
        self.flow = Flow()
        self.stalled = False  # nothing comes of it, or is committed, and should, as of the last look
        self.asked_end = -1  # its end, as last told when asked beside the consumer; -1: not yet
        self.asked_first = -1  # likewise the offset that it begins with
        # When calls that run for too long have to end, by partition and offset as their messages say them.
        # Handler threads read it.
        self.overdue: Dict[Tuple[int, int], Optional[float]] = {}
        self.named: Set[int] = set()  # offsets that are to be parked as soon as they are delivered
        # Offsets of calls whose outcome no longer counts, because they were parked while they ran. Handler threads read it.
        self.void: Set[int] = set()
        self.parked: Set[Tuple[int, int]] = set()  # the same, as their messages say them: task processes tell why
        self._eof = -1  # the offset of the last end-of-partition event; -1: none yet

    @property
    def facts(self) -> Dict[str, Any]:
        """What log records say of it, in their own fields."""
        return {"topic": self.topic, "partition": self.number}

    @property
    def expected(self) -> int:
        """The lowest offset that should come next; -1: any."""
        return max(self.tracker.next_offset, self.stored.committed, self.flow.end)

    @property
    def at_its_end(self) -> bool:
        """Whether the client has said that there is no more, and nothing has come since."""
        return self._eof >= max(0, self.expected)

    @property
    def read_to(self) -> int:
        """Everything below was delivered, or need not be; -1: not known."""
        return max(self.expected, self._eof)

    @property
    def heard(self) -> bool:
        """Whether the client has said anything of it since it was assigned: a message, or that there is none."""
        return max(self.tracker.next_offset, self.flow.end, self._eof) >= 0

    def at_end(self, offset: int) -> None:
        """Everything of it up to `offset` was delivered."""
        self._eof = offset

    def comes_again(self, offset: int) -> None:
        """What was delivered from this offset on (negative: all) comes again, so the end is not reached any more."""
        self._eof = min(self._eof, max(-1, offset))

    def target(self, position: int) -> int:
        """What to commit: the watermark while something is in flight, else as far as the client has read.

        `position` is the consumer's own, read between two polls: it alone knows of trailing transaction markers, which are
        never delivered. -1001 (nothing read since the assignment) loses against the end-of-partition event, which is the
        only sign then.
        """
        watermark = self.tracker.watermark()
        # The client may be past what could not be read, and is past what is in hand.
        if self.tracker.in_flight or self.flow.unread or self.flow.waiting:
            return watermark
        # Once something was delivered the event says nothing new, and something wrong if the topic was made anew since.
        return max(position, watermark if watermark >= 0 else self._eof)

    def report(self, end: int, held: str = "", *, fetched: bool = True) -> PartitionReport:
        """What the snapshot says of it now. `end` is the partition's end as the last fetch told, or -1; `held` says why
        nothing of it is started; `fetched`: whether it may be fetched (if not, or if it stands still, `asked_end` counts)."""
        fetched = fetched and not (self.flow.crowded or self.flow.wrong or self.flow.unread or self.stalled)
        # A new leader tells of no more than it knows to be everywhere, which may be less than was delivered.
        end = max(self._eof, self.tracker.next_offset, self.flow.end, end, -1 if fetched else self.asked_end)
        committed, watermark = self.stored.committed, self.tracker.watermark()
        # Before our first commit: what was committed before is where delivery began, and nothing is done below the watermark.
        since = committed if committed >= 0 else watermark
        in_flight = self.tracker.in_flight
        lag = max(0, end - since) if min(since, end) >= 0 else -1
        return PartitionReport(
            topic=self.topic,
            partition=self.number,
            committed=committed,
            watermark=watermark,
            end=end,
            lag=lag,
            in_flight=in_flight,
            done_beyond=max(0, self.tracker.next_offset - watermark - in_flight),
            queued=len(self.queue),
            paused=self.flow.crowded,
            held=self.flow.wrong or self.flow.unread or held,
            pause=self.flow.suspended,
            lag_seconds=float(min(0, lag)),  # unless it has a head
        )

    def __str__(self) -> str:
        """How logs name it: `topic[3]`."""
        return f"{self.topic}[{self.number}]"


class Assignment:
    """All partitions owned now, by topic and number."""

    def __init__(self, make: Callable[[str, int], Partition] = Partition) -> None:
        """Nothing is owned before the group says so. `make` makes the partition of a topic and number."""
        self._make = make
        self._partitions: Dict[TopicPartition, Partition] = {}
        self.attention = Attention()  # to those with which something goes on
        self.of_retries = 0  # how many are of retry topics

    def add(self, topic: str, number: int) -> Partition:
        """A new assignment; if the partition was here already, the old one is forgotten."""
        self.remove(topic, number)
        partition = self._partitions[topic, number] = self._make(topic, number)
        partition.flow.call(self.attention, partition)
        self.of_retries += bool(partition.retries_of)
        return partition

    def remove(self, topic: str, number: int) -> None:
        """The partition is no longer ours."""
        gone = self._partitions.pop((topic, number), None)
        if gone is not None:
            gone.closing.forget()
            gone.flow.call(Attention(), gone)
            self.attention.forget(gone)
            self.of_retries -= bool(gone.retries_of)

    def get(self, topic: str, number: int) -> Optional[Partition]:
        """The partition, if it is ours."""
        return self._partitions.get((topic, number))

    def __iter__(self) -> Iterator[Partition]:
        """The partitions, in no particular order."""
        return iter(self._partitions.values())

    def __len__(self) -> int:
        """How many partitions are ours."""
        return len(self._partitions)

    def close(self, deadline: float) -> None:
        """Start no more tasks of any partition."""
        for partition in self:
            partition.closing.close(deadline)

    def selected(self, wanted: List[TopicPartition]) -> List[Partition]:
        """The partitions of `wanted` that are ours."""
        return [self._partitions[name] for name in wanted if name in self._partitions]
