"""What survives `kill -9`: the completion flags of a slot's segments, in a file mapped into memory. The kernel keeps the pages
of a process that dies, so a flag costs no more than writing a byte in memory, and the next process in the slot skips what was
done.

The file is guarded by the slot's lock. It holds records of one size, one per segment: a header that says whose flags these
are, and the flags. A record counts from the moment its first byte is set, which is written last and cleared first.

What was running is a suspect: it may be what ended the process. Not if the process ended by its own will and cut it off: it
notes that first, in one byte for the whole file.

Whether a record is still true is the broker's to say, by the name that its commit carries: each assignment has its own (see
`offset_map`). A record names two commits, the one its assignment found and the one it made, and counts if the broker holds
either. If anybody else has committed since, or nobody ever did, it means nothing: offsets are no proof, because a topic made
anew has the same ones. An assignment that goes by another's record puts its own name into it before it commits, so that it
counts for whoever comes next.
"""

from __future__ import annotations

import contextlib
import glob
import mmap
import os
import re
import struct
from typing import Dict, Iterable, List, Set, Tuple

from kafka_worker.partitions.stored import JournalRecord, Names
from kafka_worker.partitions.task import TaskId
from kafka_worker.partitions.tracker import DONE, OPEN, RUNNING, SEGMENT_SIZE, Memory, Range
from kafka_worker.shared.ipc.snapshot import TopicPartition
from kafka_worker.shared.system import forks
from kafka_worker.shared.system.runtime_files import open_private

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_HEADER = struct.Struct("<B8s8sIqB249s")  # used, the two names, partition, base, topic
_NAME = 8
_RECORD = _HEADER.size + SEGMENT_SIZE
RECORDS = 1024  # 1.3 MB a slot. Segments beyond that are kept in memory only: after a crash their tasks may run again
_SIZE = 128 + RECORDS * _RECORD  # bytes; 128 is more than what stands before the records
SCARCE = 256  # free records: below that, records that others can do without are given back


def _head() -> bytes:
    return b"kafka-consumer journal 4, boot %s\n" % boot_id()


def boot_id() -> bytes:
    """Which boot of the machine this is: 36 characters. What an earlier one left on a disk is void, because after a power
    failure a record's header may have been written and not its flags. Where that is unknown, every process makes the file
    anew."""
    try:
        with open(_BOOT_ID, "rb") as file:
            return file.read(36)
    except OSError:
        return os.urandom(18).hex().encode()


def _of_same_file(descriptor: int) -> List[int]:
    """The other descriptors of the same file, as far as that can be told."""
    found, wanted = [], os.fstat(descriptor)
    for number in map(int, os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ()):
        with contextlib.suppress(OSError):  # closed meanwhile
            if number != descriptor and os.path.samestat(os.fstat(number), wanted):
                found.append(number)
    return found


def reserved(path: str) -> int:
    """A descriptor of a journal with all its room reserved: otherwise a full file system would kill us by SIGBUS at some later
    write. Raises OSError if there is no room."""
    descriptor = open_private(path, os.O_RDWR)
    try:
        os.posix_fallocate(descriptor, 0, _SIZE)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


class Journal:
    """One slot's file. Consumer thread only; handler threads set flags in it."""

    def __init__(self, path: str) -> None:
        """Map the file, and read what was left in it. Raises OSError if there is no room."""
        self._path = path
        head = _head()
        self._innocence = len(head)  # where it is noted that what ran did not end the process
        self._deaths = len(head) + 1  # how many have died one after the other, each young and with nothing running
        self._first = len(head) + 2
        descriptor = reserved(path)
        try:
            self._memory = mmap.mmap(descriptor, _SIZE)
            if hasattr(mmap, "MADV_DONTFORK"):  # a copy of us, made by a handler that forks, has no outcomes to note
                self._memory.madvise(mmap.MADV_DONTFORK)
            self._kept = _of_same_file(descriptor)
            forks.leave(self, Journal._lead_nowhere)
        finally:
            os.close(descriptor)
        fresh = self._memory[: len(head)] != head
        if fresh:
            self._memory[:] = head + bytes(_SIZE - len(head))
        self._left: Dict[TopicPartition, List[int]] = {}  # records of assignments that are over
        self._not_reused: Set[int] = set()  # records into which a late result may still be written
        self._free = [index for index in range(RECORDS) if not self._memory[self._start(index)]]
        for index in set(range(RECORDS)).difference(self._free):
            _used, _found, _own, partition, _base, length, name = _HEADER.unpack_from(self._memory, self._start(index))
            self.leave(name[:length].decode("utf-8", "replace"), partition, index)
        innocent = bool(self._memory[self._innocence])
        self.suspects: List[TaskId] = [] if innocent else self._ran()
        self.deaths = 0 if fresh or innocent or self.suspects else self.deaths + 1

    def resolve(self) -> None:
        """The suspects are known elsewhere now, so the next process finds only ours. Called once, before anything is
        allocated."""
        for index in (index for indexes in self._left.values() for index in indexes):
            start = self._start(index) + _HEADER.size
            self._memory[start : start + SEGMENT_SIZE] = self._flags(index).replace(b"%c" % RUNNING, b"%c" % OPEN)
        self._memory[self._innocence] = 0

    @property
    def deaths(self) -> int:
        """How many processes of the slot have died one after the other, each young and with nothing running."""
        return int(self._memory[self._deaths])

    @deaths.setter
    def deaths(self, count: int) -> None:
        self._memory[self._deaths] = min(count, 255)

    def note_own_end(self) -> None:
        """This process ends by its own will: what still runs has nothing to do with it. Any thread."""
        self._memory[self._innocence] = 1

    def inherit(self, topic: str, partition: int, names: Names) -> List[JournalRecord]:
        """The partition was assigned: what earlier assignments noted of it, as far as the commit that was found proves it.
        From now on that counts for the new one's commits too; the rest is void."""
        found, records = names.found.encode(), []
        for index in self._left.pop((topic, partition), []):
            named = self._start(index) + 1
            if found not in self._names(index):
                self.release(index)
                continue
            # In this order, so that at every moment one of the two is what the broker holds.
            self._memory[named : named + _NAME] = found
            self._memory[named + _NAME : named + 2 * _NAME] = names.own.encode()
            records.append(JournalRecord(index, self._done(index)))
        return records

    def done_elsewhere(self, topic: str, partition: int, writer: str) -> List[Range]:
        """What the other slots of this host have noted of the partition, under the name of the commit that the broker holds:
        the last that is known of it, if they could no longer commit before it came here. Nothing if it was here before. (It
        takes a quarter of a millisecond per slot.)"""
        found: List[Range] = []
        if any(writer.encode() in self._names(index) for index in self._left.get((topic, partition), ())):
            return found
        for path in glob.glob(os.path.join(glob.escape(os.path.dirname(self._path)), "slot-*.journal")):
            if path != self._path:
                with contextlib.suppress(OSError, ValueError):  # it is not of our format, or is just being made
                    found += _done_in(path, topic, partition, writer)
        return found

    def allocate(self, topic: str, partition: int, base: int, names: Names) -> Memory:
        """(memory, where in it a new segment's flags begin, record). Without a free record it is ordinary memory, record
        -1."""
        if self.scarce() and not self._free:
            return bytearray(SEGMENT_SIZE), 0, -1
        index = self._free.pop()
        name = topic.encode()
        header = _HEADER.pack(0, names.found.encode(), names.own.encode(), partition, base, len(name), name)
        start = self._start(index)
        self._memory[start : start + _RECORD] = header + bytes(SEGMENT_SIZE)
        self._memory[start] = 1
        return self._memory, start + _HEADER.size, index

    def scarce(self) -> bool:
        """Whether free records are about to run out even after what was left of partitions that are not ours is given up."""
        if len(self._free) < SCARCE:
            for place in list(self._left):
                for index in self._left.pop(place):
                    self.release(index)
        return len(self._free) < SCARCE

    def release(self, index: int) -> None:
        """The record means nothing any more. It can become another segment's, unless a late result may still be written into
        it: that byte would be somebody else's "done"."""
        if index in self._not_reused:
            self._memory[self._start(index) + 1 : self._start(index) + 1 + 2 * _NAME] = bytes(2 * _NAME)
        elif index >= 0:
            self._memory[self._start(index)] = 0
            self._free.append(index)

    def leave(self, topic: str, partition: int, index: int) -> None:
        """An assignment ended: its record counts again if the partition comes back before anybody else committed."""
        if index >= 0:
            self._left.setdefault((topic, partition), []).append(index)

    def never_reuse(self, indexes: Iterable[int]) -> None:
        """Late results may still be written into these records: they are never used again by this process."""
        self._not_reused.update(index for index in indexes if index >= 0)

    def _lead_nowhere(self) -> None:
        """Lead the descriptors that the mapping keeps of its file to /dev/null. It closes their numbers itself in the end, so
        these have to stay open."""
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for number in self._kept:
            os.dup2(nowhere, number, inheritable=False)
        os.close(nowhere)

    def _ran(self) -> List[TaskId]:
        return [
            (topic, partition, self._base(index) + run.start())
            for (topic, partition), indexes in self._left.items()
            for index in indexes
            for run in re.finditer(b"%c" % RUNNING, self._flags(index))
        ]

    def _names(self, index: int) -> Tuple[bytes, bytes]:
        named = self._start(index) + 1
        return self._memory[named : named + _NAME], self._memory[named + _NAME : named + 2 * _NAME]

    def _done(self, index: int) -> List[Range]:
        return _ranges(self._base(index), self._flags(index))

    def _base(self, index: int) -> int:
        return int(_HEADER.unpack_from(self._memory, self._start(index))[4])

    def _flags(self, index: int) -> bytes:
        return self._memory[self._start(index) + _HEADER.size : self._start(index) + _RECORD]

    def _start(self, index: int) -> int:
        return self._first + index * _RECORD


def _ranges(base: int, flags: bytes) -> List[Range]:
    return [(base + run.start(), base + run.end()) for run in re.finditer(b"%c+" % DONE, flags)]


def _done_in(path: str, topic: str, partition: int, writer: str) -> List[Range]:
    """What one file says, whose process may be alive and use a record for something else at any moment. A header that is the
    same before and after the flags were read is theirs: no two records ever have the same one."""
    found: List[Range] = []
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as memory:
            head = _head()
            first = len(head) + 2
            if memory[: len(head)] != head:
                return []
            for start in (first + index * _RECORD for index, used in enumerate(memory[first::_RECORD]) if used):
                header = memory[start : start + _HEADER.size]
                _used, *names, number, base, length, name = _HEADER.unpack(header)
                if writer.encode() in names and (name[:length], number) == (topic.encode(), partition):
                    flags = memory[start + _HEADER.size : start + _RECORD]
                    if memory[start : start + _HEADER.size] == header:
                        found += _ranges(base, flags)
    finally:
        os.close(descriptor)
    return found
