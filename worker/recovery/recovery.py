"""What was done before us, from two memories: the commit's metadata (it moves with the partition to any host) and the slot's
journal (it knows what was done since the last commit, as long as the slot stays here). Consumer thread only.

At an assignment both are asked, and only believed where they fit what the broker holds: a commit with that base, made by the
very assignment whose memory it is. From then on every commit carries what is done beyond it, because a commit without that
would wipe it; and the first one comes soon, because without a commit of its own an assignment's memory is not found again.
"""

from __future__ import annotations

import logging
import time
from typing import Callable, Iterable, List, Optional

from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.stored import UNKNOWN, Home, JournalRecord
from kafka_worker.partitions.tracker import Memory, Range, merged, plain_memory
from kafka_worker.recovery.journal import Journal
from kafka_worker.recovery.offset_map import decode, encode
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.foreign.texts import counted
from kafka_worker.shared.logs import Seldom

log = logs.logger(__name__)

FULL_SECONDS = 600.0  # between two complaints about a full journal


class Recovery:
    """The memories of one process."""

    def __init__(self, journal: Optional[Journal], *, use_map: bool, busy: Callable[[Partition], bool]) -> None:
        """`journal` None, `use_map` False: that memory is switched off. `busy(partition)`: whether any of its tasks runs
        now."""
        self._journal = journal
        self._use_map = use_map
        self._busy = busy
        self._warned = False
        self._full = Seldom(log, time.monotonic, FULL_SECONDS)

    def memory(self, partition: Partition, base: int) -> Memory:
        """Memory for a new segment's flags."""
        if self._journal is None:
            return plain_memory(base)
        self._spare(partition)
        memory = self._journal.allocate(*partition.name, base, partition.stored.names)
        if memory[2] < 0:
            partition.stored.leave_unrecorded()
            self._full.log(
                logging.WARNING,
                "The journal is full: what is done of %s from offset %d on since the last commit runs again if this process "
                "is killed", partition, base,
            )  # fmt: skip
        return memory

    def restore(self, partition: Partition, offset: int, metadata: Optional[str], home: Home = UNKNOWN) -> bool:
        """The partition was assigned; the broker holds this offset (-1001: none) and metadata, and `home` is its topic. False:
        the offset is of an earlier topic of this name, and means nothing."""
        carried = decode(metadata)
        if carried is None and metadata and not self._warned:
            self._warned = True
            log.warning(
                "%s: the committed metadata is not ours and is ignored: %.40r",
                partition, metadata, extra=about(Event.METADATA_IGNORED, **partition.facts),
            )  # fmt: skip
        ours = carried if carried is not None and carried.base == offset else None
        made_anew = False
        if ours and ours.home.differs(home):
            # What was committed in another cluster was brought here on purpose: its offset counts.
            made_anew = not ours.home.elsewhere(home)
            ours = None
        if made_anew:
            log.warning(
                "%s was made anew: the committed offset %d is of the one before",
                partition, offset, extra=about(Event.TOPIC_MADE_ANEW, **partition.facts, offset=offset),
            )  # fmt: skip
            offset, metadata = -1001, None
        partition.stored.found(offset, metadata or "", home.completed(ours.home) if ours else home)
        known: List[Range] = []
        if ours:
            partition.stored.found_ours(ours.writer)
            known = [*(ours.done if self._use_map else []), *self._elsewhere(partition, ours.writer)]
        self._recall(partition, known, offset)
        return not made_anew

    def _recall(self, partition: Partition, mapped: List[Range], offset: int) -> None:
        """Take in what was done beyond the offset, by the map and by the journal."""
        self._release(record.number for record in partition.stored.recall(mapped, self._inherited(partition), offset))
        count = sum(behind - first for first, behind in partition.stored.done_before)
        if count:
            log.info(
                "%s: done before beyond offset %d, and not run again: %s",
                partition, offset, counted(count, "message"), extra=about(Event.RECALLED, **partition.facts, offset=offset),
            )  # fmt: skip

    def metadata(self, partition: Partition, target: int) -> str:
        """What a commit of `target` should carry."""
        self._spare(partition)
        stored, done = partition.stored, []
        if self._use_map and not stored.map_refused:
            done = merged([*partition.tracker.done_beyond(target), *stored.done_before], beyond=target)
        return encode(stored.names.own, stored.home, target, done)

    def acknowledged(self, partition: Partition, offset: int) -> None:
        """The broker has stored this offset and what we sent with it: memories of what lies below can go, and those of earlier
        assignments as far as our own know the same by now."""
        self._release(segment.record for segment in partition.tracker.committed(offset))
        behind = offset if partition.stored.unrecorded else max(offset, partition.tracker.next_offset)
        self._release(record.number for record in partition.stored.release(behind))

    def ended(self, partition: Partition) -> None:
        """The assignment is over. What was noted of it counts again only if the broker still holds its commit when the
        partition comes back."""
        for record in self._records(partition):
            self._journal.leave(*partition.name, record)  # type: ignore[union-attr]

    def void(self, partition: Partition) -> None:
        """The offsets went back: what was noted of them is about other messages, whatever still runs."""
        self._release(self._records(partition))

    def _elsewhere(self, partition: Partition, writer: str) -> List[Range]:
        journal = self._journal
        return [] if journal is None else journal.done_elsewhere(*partition.name, writer)

    def _inherited(self, partition: Partition) -> List[JournalRecord]:
        return [] if self._journal is None else self._journal.inherit(*partition.name, partition.stored.names)

    def _records(self, partition: Partition) -> List[int]:
        """All records of this assignment. A handler that still runs may write into its segment much later, so a record with
        such a task is not used again by this process."""
        if self._journal is None:
            return []
        records = [segment.record for segment in partition.tracker.segments()]
        if self._busy(partition):
            self._journal.never_reuse(records)
        return records + [record.number for record in partition.stored.inherited]

    def _spare(self, partition: Partition) -> None:
        """One task may hold the commit back for hours: what is in the map that the broker holds is given up in the journal.
        Not only after a commit: while the map stays the same there is none."""
        if self._journal is None or not self._journal.scarce() or not partition.tracker.finished:
            return
        carried = decode(partition.stored.metadata) if self._use_map and not partition.stored.map_refused else None
        if carried is not None and carried.base == partition.stored.committed:
            self._release(segment.record for segment in partition.tracker.held_elsewhere(carried.done))

    def _release(self, records: Iterable[int]) -> None:
        if self._journal is not None:
            for record in records:
                self._journal.release(record)
