"""Which offsets of one partition are done, and up to where the partition may be committed. Pure.

Offsets are kept in *segments*: one flag (a byte) for each offset of a short range. The consumer thread adds segments at the
end, handler threads set flags in any order, and the watermark moves over whole runs of set flags at the speed of `memchr`, so
a message costs no object of its own and no lock. Writing a byte is atomic with and without the interpreter's lock, and each
byte has one writer. The memory for the flags comes from outside: usually it is a file that survives `kill -9` (see `journal`).

Offsets have holes (compaction, aborted transactions, transaction markers). Nobody could complete a hole, so it is flagged when
the offset behind it is taken.

One task may wait for hours while millions behind it are done: a segment that is full and done is given up at once, wherever it
stands, and only its range is remembered. So a partition costs what is in flight, not what is done.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections import deque
from itertools import compress, islice
from typing import Any, Callable, Deque, Iterable, List, Optional, Tuple

SEGMENT_SIZE = 1024  # offsets. Small enough to forget soon, large enough to search at memchr speed
OPEN, DONE, HOLE, RUNNING = 0, 1, 2, 3  # the values of a flag; RUNNING is not done
_OPEN, _DONE, _RUNNING = b"%c" % OPEN, b"%c" % DONE, b"%c" % RUNNING
_ENDED = frozenset((DONE, HOLE))
_RUN = re.compile(b"[%c%c]+" % (DONE, HOLE))
_IN_FLIGHT = bytes.maketrans(bytes((OPEN, DONE, HOLE, RUNNING)), bytes((1, 0, 0, 1)))

Range = Tuple[int, int]  # first offset, and the one behind the last
Memory = Tuple[Any, int, int]  # bytearray or mmap, where in it the flags begin, and the number of the record (-1: none)


class Segment:
    """Flags of the offsets from `base` on. It belongs to one assignment of one partition: when that ends, late completions
    fall on a segment that nobody reads any more."""

    __slots__ = ("base", "flags", "record", "shift", "start", "taken", "weights")

    def __init__(self, base: int, memory: Memory) -> None:
        """A segment in which nothing is taken yet."""
        self.base = base
        self.taken = 0
        self.weights: Optional[array[int]] = None  # bytes of each message, if they are weighed
        self.flags, self.start, self.record = memory
        self.shift = self.start - base  # the flag of an offset stands at `offset + shift`

    def complete(self, offset: int) -> None:
        """The task at this offset has its outcome. Any thread may call it."""
        self.flags[offset + self.shift] = DONE

    def first_open(self) -> int:
        """The lowest offset taken that is not done; -1: none."""
        seen = self.seen()  # one look: between two, a handler that raises could slip past both
        place = seen.find(_OPEN)
        running = seen.find(_RUNNING, 0, place if place >= 0 else len(seen))
        lowest = running if running >= 0 else place
        return self.base + lowest if lowest >= 0 else -1

    def last_done(self) -> int:
        """The highest offset that is done; -1: none. Holes do not count."""
        place = self.flags.rfind(_DONE, self.start, self.start + self.taken)
        return place - self.shift if place >= 0 else -1

    @property
    def in_flight(self) -> int:
        """Offsets taken and not done."""
        seen = self.seen()
        return seen.count(_OPEN) + seen.count(_RUNNING)

    @property
    def end(self) -> int:
        """Behind the last offset taken."""
        return self.base + self.taken

    @property
    def weight(self) -> int:
        """Bytes of the messages in flight, as far as they were weighed."""
        return sum(compress(self.weights, self.seen().translate(_IN_FLIGHT))) if self.weights else 0

    def seen(self) -> bytes:
        """The flags of the offsets taken so far, copied in one look."""
        return bytes(self.flags[self.start : self.start + self.taken])


def plain_memory(_base: int) -> Memory:
    """Memory that dies with this process."""
    return bytearray(SEGMENT_SIZE), 0, -1


class Tracker:
    """What was taken of one assignment of one partition, and what is done. Consumer thread only."""

    __slots__ = ("_complete", "_done", "_memory", "_segments", "last_weight", "next_offset")

    def __init__(self, memory: Callable[[int], Memory] = plain_memory) -> None:
        """A fresh assignment: nothing is known of it until the first message. `memory(base)` gives that of a new segment."""
        self._memory = memory
        self._segments: Deque[Segment] = deque()  # in which something is open, or still to be taken
        self._done: List[Range] = []  # of segments that are full and done, as far as they may lie beyond the watermark
        self._complete: Deque[Segment] = deque()  # full and done, but their record may still be needed
        self.next_offset = -1  # behind the last offset taken; -1: none yet
        self.last_weight = 0  # bytes of the last message taken, if they are weighed

    def take(self, offset: int, count: int = 1) -> Tuple[Segment, int]:
        """Put up to `count` consecutive offsets in flight. Returns their segment, and how many fitted into it.

        Call again with the rest if not all fitted. Raises ValueError for an offset that is already behind us: taking it twice
        would let the watermark pass a task that still runs.
        """
        if offset < self.next_offset:
            raise ValueError(f"offset {offset} was delivered after {self.next_offset - 1}")
        segment = self._segments[-1] if self._segments else None
        if segment is None or offset - segment.base >= SEGMENT_SIZE:
            segment = Segment(offset, self._memory(offset))
            self._segments.append(segment)
        index = offset - segment.base
        if index > segment.taken:
            hole = slice(segment.start + segment.taken, segment.start + index)
            segment.flags[hole] = b"%c" % HOLE * (index - segment.taken)
        fitting = min(count, SEGMENT_SIZE - index)
        segment.taken = index + fitting
        self.next_offset = offset + fitting
        return segment, fitting

    def watermark(self) -> int:
        """The offset below which everything taken is done: the lowest offset in flight, or else `next_offset`."""
        while self._segments:
            head = self._segments[0]
            undone = head.first_open()
            if undone >= 0:
                return undone
            if len(self._segments) == 1 and head.taken < SEGMENT_SIZE:
                break
            self._complete.append(self._segments.popleft())
        return self.next_offset

    def frontier(self) -> int:
        """Behind the highest offset that is done. What is open below it must be done too, or the commit of the watermark would
        have everything in between run again. -1: nothing that we remember is done."""
        highest = [segment.last_done() for segment in self._segments]
        return max([-1, *(offset + 1 for offset in highest if offset >= 0), *(behind for _, behind in self._done[-1:])])

    def done_beyond(self, watermark: int) -> List[Range]:
        """What is done from the watermark on, in ascending order. Holes count as done: they are never delivered."""
        runs = (
            (segment.base + run.start(), segment.base + run.end())
            for segment in self._segments
            for run in _RUN.finditer(segment.seen())
        )
        # Between two of them lies what was given up, and a hole behind which no room was left in the first.
        between = ((one.end, another.base) for one, another in zip(self._segments, islice(self._segments, 1, None)))
        return merged([*self._done, *runs, *between], beyond=watermark)

    def is_done(self, offset: int) -> bool:
        """Whether this offset, which is behind us, is done, or a hole."""
        for segment in reversed(self._segments):  # most who ask mean one of the last
            if segment.base <= offset:
                return offset - segment.base >= segment.taken or segment.flags[offset + segment.shift] in _ENDED
        return True

    def committed(self, offset: int) -> List[Segment]:
        """The broker has stored this offset: the segments below it are forgotten, and returned."""
        self._done = merged(self._done, beyond=offset)
        forgotten = [segment for segment in self._complete if segment.end <= offset]
        if forgotten:
            self._complete = deque(segment for segment in self._complete if segment.end > offset)
        return forgotten

    def held_elsewhere(self, done: List[Range]) -> List[Segment]:
        """These ranges are known to be done elsewhere too: the full and done segments that lie in them are forgotten, and
        returned."""
        begins = [first for first, _ in done]
        places = [(segment, bisect_right(begins, segment.base) - 1) for segment in self._complete]
        held = {segment for segment, place in places if place >= 0 and segment.end <= done[place][1]}
        self._complete = deque(segment for segment in self._complete if segment not in held)
        return list(held)

    @property
    def finished(self) -> bool:
        """Whether there are full and done segments that are kept for their record."""
        return bool(self._complete)

    def segments(self) -> List[Segment]:
        """All that are remembered."""
        return [*self._complete, *self._segments]

    @property
    def in_flight(self) -> int:
        """Offsets taken and not done."""
        counts = [segment.in_flight for segment in self._segments]
        if 0 in counts:
            self._give_up([segment for segment, count in zip(self._segments, counts) if not count])
        return sum(counts)

    def weigh(self, offset: int, weight: int) -> None:
        """Note what the message at an offset that was just taken weighs."""
        self.last_weight = weight
        for segment in reversed(self._segments):
            if segment.base <= offset < segment.base + SEGMENT_SIZE:
                segment.weights = segment.weights or array("I", bytes(4 * SEGMENT_SIZE))
                segment.weights[offset - segment.base] = weight
                return

    @property
    def weight(self) -> int:
        """Bytes of the messages in flight, as far as they were weighed."""
        return sum([segment.weight for segment in self._segments])

    def _give_up(self, idle: List[Segment]) -> None:
        """Give up those of these idle segments (nothing in flight) into which nothing more will be taken."""
        last = self._segments[-1]
        full = [segment for segment in idle if segment is not last or segment.taken == SEGMENT_SIZE]
        if full:
            bases = {segment.base for segment in full}
            self._segments = deque(segment for segment in self._segments if segment.base not in bases)
            self._complete.extend(segment for segment in full if segment.record >= 0)
            self._done = merged([*self._done, *((segment.base, segment.end) for segment in full)], beyond=0)


def merged(ranges: Iterable[Range], beyond: int) -> List[Range]:
    """The same offsets in ascending, disjoint ranges, without those below `beyond`."""
    out: List[Range] = []
    for first, behind in sorted(ranges):
        start = max(first, beyond)
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], behind))
        elif start < behind:
            out.append((start, behind))
    return out
