"""Which offsets of one partition are done, and up to where the partition may be committed. Pure.

Offsets are kept in *segments*: one flag (a byte) for each offset of a short range. The consumer thread adds segments at the
end, handler threads set flags in any order, and the watermark moves over whole runs of set flags by `bytearray.find`, so that
a message costs no object of its own and no lock. A byte is written atomically with and without the interpreter's lock, and
each byte has one writer.

Offsets have holes (compaction, aborted transactions, transaction markers). A hole has nobody who could complete it, so it is
flagged when the offset behind it is taken.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Deque, Tuple

if TYPE_CHECKING:
    from worker.assignment import Partition

SEGMENT_SIZE = 1024  # offsets. Small enough to forget soon, large enough to search at memchr speed
OPEN, DONE, HOLE = 0, 1, 2  # the values of a flag


class Segment:
    """Flags of the offsets from `base` on. It belongs to one assignment of one partition: when that ends, late completions
    fall on a segment that nobody reads any more."""

    __slots__ = ("base", "flags", "partition", "taken")

    def __init__(self, partition: Partition, base: int) -> None:
        """A segment in which nothing is taken yet."""
        self.partition = partition
        self.base = base
        self.taken = 0
        self.flags = bytearray(SEGMENT_SIZE)

    def complete(self, offset: int) -> None:
        """The task at this offset has its outcome. Any thread may call it."""
        self.flags[offset - self.base] = DONE

    @property
    def in_flight(self) -> int:
        """Offsets taken and not done."""
        return self.flags.count(OPEN, 0, self.taken)


class Tracker:
    """What was taken of one assignment of one partition, and what is done. All methods belong to the consumer thread."""

    __slots__ = ("_partition", "_segments", "next_offset")

    def __init__(self, partition: Partition) -> None:
        """A fresh assignment: nothing is known of it until the first message."""
        self._partition = partition
        self._segments: Deque[Segment] = deque()
        self.next_offset = -1  # behind the last offset taken; -1: none yet

    def take(self, offset: int, count: int = 1) -> Tuple[Segment, int]:
        """Put up to `count` consecutive offsets in flight: (their segment, how many fitted into it).

        Call again with the rest when not all fitted. Raises ValueError for an offset that is already behind us: taking it
        twice would let the watermark pass a task that still runs.
        """
        if offset < self.next_offset:
            raise ValueError("offset %d was delivered after %d" % (offset, self.next_offset - 1))
        segment = self._segments[-1] if self._segments else None
        if segment is None or offset - segment.base >= SEGMENT_SIZE:
            segment = Segment(self._partition, offset)
            self._segments.append(segment)
        index = offset - segment.base
        if index > segment.taken:
            segment.flags[segment.taken : index] = bytes([HOLE]) * (index - segment.taken)
        fitting = min(count, SEGMENT_SIZE - index)
        segment.taken = index + fitting
        self.next_offset = offset + fitting
        return segment, fitting

    def watermark(self) -> int:
        """The offset below which everything taken is done: the lowest offset in flight, or else `next_offset`."""
        while self._segments:
            head = self._segments[0]
            undone = head.flags.find(OPEN, 0, head.taken)
            if undone >= 0:
                return head.base + undone
            if len(self._segments) == 1 and head.taken < SEGMENT_SIZE:
                break
            self._segments.popleft()
        return self.next_offset

    def frontier(self) -> int:
        """Behind the highest offset that is done. What is open below it must be done too, or else the commit of the watermark
        has everything in between run again. -1: nothing that we remember is done."""
        for segment in reversed(self._segments):
            highest = segment.flags.rfind(DONE, 0, segment.taken)
            if highest >= 0:
                return segment.base + highest + 1
        return -1

    @property
    def in_flight(self) -> int:
        """Offsets taken and not done."""
        return sum([segment.in_flight for segment in self._segments])
