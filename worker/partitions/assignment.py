"""The partitions that this child owns now. Pure; the consumer thread's alone, but for the three fields that handler threads
read. A partition that goes away and comes back is a new `Partition`: nothing of the old assignment survives, so a late result
can't move the new one's watermark."""

from __future__ import annotations

import functools
import math
import secrets
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple, Type

from kafka_worker.partitions.dependencies import Dependencies
from kafka_worker.partitions.home import UNKNOWN
from kafka_worker.partitions.lanes import Lanes
from kafka_worker.partitions.queues import FirstComeFirstServed, Queue
from kafka_worker.partitions.tracker import Memory, Range, Tracker, plain_memory


class Names(NamedTuple):
    """The two commits under which what an assignment noted in the journal is true."""

    found: str  # that the broker held when the partition was assigned; our own when none of ours did
    own: str  # that this assignment makes


def new_name() -> str:
    """Of one assignment of one partition: what it commits carries it, and nothing else ever does. Eight characters."""
    return secrets.token_urlsafe(6)


class Partition:
    """One assignment of one partition."""

    __slots__ = (
        "closed", "committed", "deadline", "dependencies", "early", "end", "eof", "frontier", "given_up", "held", "home",
        "in_transit", "inherited", "known", "lanes", "map_refused", "metadata", "named", "names", "number", "origin",
        "overdue", "paused", "queue", "revoked", "sent", "topic", "tracker", "unrecorded", "unstored",
    )  # fmt: skip

    def __init__(
        self,
        topic: str,
        number: int,
        queue: Type[Queue] = FirstComeFirstServed,
        memory: Callable[[Partition, int], Memory] = lambda _partition, base: plain_memory(base),
    ) -> None:
        """Assigned just now. `queue` is the kind for tasks that may run, `memory` gives that of the completion flags."""
        self.topic = topic
        self.number = number
        self.tracker = Tracker(functools.partial(memory, self))
        self.lanes = Lanes()
        self.queue = queue()
        self.queue.topic = topic
        self.origin = ""  # of a retry topic: the topic that its messages came from at first
        self.dependencies = Dependencies()  # where its handlers report what they depend on
        self.paused = False  # fetching is stopped, for back-pressure or because it is held
        self.held = ""  # why nothing more of it should be fetched, whatever room there is; empty: nothing is wrong
        self.in_transit = 0  # records of its tasks that were sent and not answered, and those that were refused: see outbox
        self.unstored = 0
        self.early: Optional[List[Any]] = (
            None  # messages that came before it was known what the broker holds; None: it is known
        )
        # what the broker holds: at first what it told, then what it acknowledged; -1: nothing, as far as known
        self.committed = -1
        self.metadata = ""  # that goes with it
        self.sent = (-1, "")  # offset and metadata of the last commit on its way
        self.map_refused = False  # the broker takes no metadata as long as ours
        own = new_name()
        self.names = Names(own, own)
        self.home = UNKNOWN  # which topic of which cluster its messages are from
        self.named = False  # the broker holds a commit of this assignment, so that it is found after a death
        self.known: List[Range] = []  # not delivered yet, and done before
        self.inherited: List[JournalRecord] = []  # what earlier assignments noted in the journal, and this one goes by
        self.unrecorded = False  # the journal had no room for some of it
        self.eof = -1  # the offset of the last end-of-partition event; -1: none yet
        self.end = -1  # the partition's end as far as known; -1: unknown
        self.given_up = math.inf  # the lowest offset that will not be done any more, once closed: a gap nobody can fill
        # Read by handler threads:
        self.closed = False  # start no more of its tasks, from `frontier` on
        self.frontier = -1  # below it, tasks of a closed partition are still started
        self.deadline: Optional[float] = None  # monotonic seconds until which results still count, once closed
        self.revoked = False  # results count no more
        # The end of their time, of calls that have run for too long; by partition and offset as their messages say them
        self.overdue: Dict[Tuple[int, int], Optional[float]] = {}

    def close(self, deadline: Optional[float]) -> None:
        """Start no more tasks, but those that lie between what is done already; they and what runs have until `deadline`
        (monotonic seconds)."""
        self.deadline = deadline
        self.closed = True

    def settled(self, highest_running: int) -> bool:
        """Whether a closed partition is as done as it will be: nothing runs, and nothing below what is done is left open.
        `highest_running` is the highest offset that runs now, -1 for none. Moves the frontier as far as they demand, and not
        beyond a gap: nothing is committed past that, so nothing more is started there."""
        demanded = max(self.frontier, self.tracker.frontier(), highest_running + 1 if highest_running >= 0 else -1)
        self.frontier = int(min(demanded, self.given_up))
        return highest_running < 0 and self.tracker.watermark() >= min(self.frontier, self.given_up)

    def forget(self) -> None:
        """The partition is no longer ours: whatever still runs is dropped when it ends."""
        self.closed = True
        self.frontier = -1
        self.revoked = True

    def target(self, position: int) -> int:
        """What to commit: the watermark while something is in flight, else as far as the client has read.

        `position` is the consumer's own, read between two polls: it alone knows of trailing transaction markers, which are
        never delivered. -1001 (nothing read since the assignment) loses against the end-of-partition event, which is the
        only sign then.
        """
        watermark = self.tracker.watermark()
        if self.tracker.in_flight:
            return watermark
        # Once something was delivered the event says nothing new, and something wrong if the topic was made anew since.
        return max(position, watermark if watermark >= 0 else self.eof)

    def __str__(self) -> str:
        """As in the log: `topic[3]`."""
        return "%s[%d]" % (self.topic, self.number)


class Assignment:
    """All partitions owned now, by topic and number."""

    def __init__(self, make: Callable[[str, int], Partition] = Partition) -> None:
        """Nothing is owned before the group says so. `make` makes a partition of topic and number."""
        self._make = make
        self._partitions: Dict[Tuple[str, int], Partition] = {}

    def add(self, topic: str, number: int) -> Partition:
        """A new assignment; if the partition was here already, that one is forgotten."""
        self.remove(topic, number)
        partition = self._partitions[topic, number] = self._make(topic, number)
        return partition

    def remove(self, topic: str, number: int) -> None:
        """The partition is no longer ours."""
        gone = self._partitions.pop((topic, number), None)
        if gone is not None:
            gone.forget()

    def get(self, topic: str, number: int) -> Optional[Partition]:
        """The partition, if it is ours."""
        return self._partitions.get((topic, number))

    def __iter__(self) -> Iterator[Partition]:
        """The partitions, in no particular order."""
        return iter(self._partitions.values())

    def __len__(self) -> int:
        """How many."""
        return len(self._partitions)

    def close(self, deadline: float) -> None:
        """Start no more tasks of any partition."""
        for partition in self:
            partition.close(deadline)

    def selected(self, wanted: List[Tuple[str, int]]) -> List[Partition]:
        """Those of `wanted` that are ours."""
        return [self._partitions[name] for name in wanted if name in self._partitions]


class JournalRecord(NamedTuple):
    """A record that an earlier assignment left, and that still counts."""

    number: int
    done: List[Range]
