"""What was done before us: puts the two memories together, the commit's metadata (it moves with the partition to any host)
and the slot's journal (it knows what was done since the last commit, as long as the slot stays here). Consumer thread only.

At an assignment both are asked, and only believed where they fit the committed offset. From then on every commit carries
what is done beyond it, because a commit without would wipe it.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import Callable, Iterable, List, Optional

from service.logs import Seldom
from worker.assignment import Found, Partition
from worker.journal import Journal
from worker.offset_map import decode, encode
from worker.tracker import Memory, Range, Segment, merged, plain_memory

log = logging.getLogger(__name__)

FULL_SECONDS = 600.0  # between two complaints about a full journal

MOVED = "moved"  # in a writer's place: somebody has moved the offset and left the metadata, so that no memory of ours fits


def new_writer() -> str:
    """A name for a process that commits, unlike that of any before it."""
    return secrets.token_hex(4)


class Recovery:
    """The memories of one process."""

    def __init__(self, writer: str, journal: Optional[Journal], *, use_map: bool, busy: Callable[[Partition], bool]) -> None:
        """`journal` None, `use_map` False: that memory is switched off. `busy(partition)`: some of its tasks run now."""
        self._writer = writer
        self._journal = journal
        self._use_map = use_map
        self._busy = busy
        self._warned = False
        self._full = Seldom(log, time.monotonic, FULL_SECONDS)

    def memory(self, partition: Partition, base: int) -> Memory:
        """Memory for the flags of a new segment."""
        if self._journal is None:
            return plain_memory(base)
        self._spare(partition)
        memory = self._journal.allocate(partition.topic, partition.number, base, partition.found)
        if memory[2] < 0:
            self._full.log(
                logging.WARNING,
                "The journal is full: what is done of %s from offset %d on since the last commit runs again if this process "
                "is killed", partition, base,
            )  # fmt: skip
        return memory

    def restore(self, partition: Partition, offset: int, metadata: Optional[str]) -> None:
        """The partition was assigned; the broker holds this offset (-1001: none) and metadata."""
        carried = decode(metadata)
        if carried is None and metadata and not self._warned:
            self._warned = True
            log.warning("%s: the committed metadata is not ours and is ignored: %.40r", partition, metadata)
        partition.committed = max(-1, offset)
        partition.metadata = metadata or ""
        known: List[Range] = []
        if carried is None:
            partition.found = Found(offset, "")
        elif carried.base != offset:
            partition.found = Found(offset, MOVED)
        else:
            partition.found = Found(offset, carried.writer)
            known += carried.done if self._use_map else []
        if self._journal is not None:
            known += self._journal.left(partition.topic, partition.number, partition.found)
        partition.known = merged(known, beyond=offset)
        if partition.known:
            count = sum(behind - first for first, behind in partition.known)
            log.info("%s: %d messages beyond offset %d were done before, and are not run again", partition, count, offset)

    def metadata(self, partition: Partition, target: int) -> str:
        """What a commit of `target` should carry."""
        self._spare(partition)
        if not self._use_map or partition.map_refused:
            return encode(self._writer, target, [])
        done = [*partition.tracker.done_beyond(target), *partition.known]
        return encode(self._writer, target, merged(done, beyond=target))

    def acknowledged(self, partition: Partition, offset: int) -> None:
        """The broker has stored this offset and what we sent with it: memories of what lies below it can go."""
        self._release(partition.tracker.committed(offset))
        if self._journal is not None:
            self._journal.forget(partition.topic, partition.number)

    def ended(self, partition: Partition, *, in_order: bool) -> None:
        """The assignment is over; `in_order`: after its last commit. A handler that still runs may write into its segment long
        after, so a record with such a task is never used again by this process."""
        segments = partition.tracker.segments()
        if self._journal is None:
            return
        if not in_order:
            for segment in segments:
                self._journal.retire(segment.record, reusable=not self._busy(partition))
        elif not self._busy(partition):
            self._release(segments)

    def void(self, partition: Partition) -> None:
        """The offsets went back: what was noted of them is about other messages."""
        self.ended(partition, in_order=True)
        if self._journal is not None:
            self._journal.forget(partition.topic, partition.number)

    def _spare(self, partition: Partition) -> None:
        """One task may hold the commit back for hours: what stands in the map that the broker holds is given up in the
        journal. Not only after a commit: while the map stays the same there is none."""
        if self._journal is None or not self._journal.scarce or not partition.tracker.finished:
            return
        carried = decode(partition.metadata) if self._use_map and not partition.map_refused else None
        if carried is not None and carried.base == partition.committed:
            self._release(partition.tracker.held_elsewhere(carried.done))

    def _release(self, segments: Iterable[Segment]) -> None:
        if self._journal is not None:
            for segment in segments:
                self._journal.release(segment.record)
