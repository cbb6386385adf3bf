"""What survives `kill -9`: the completion flags of a slot's segments, in a file mapped into memory. The kernel keeps the pages
of a process that dies, so writing a flag costs no more than a byte in memory, and the next process in the slot skips what was
done.

The file is guarded by the slot's lock. It holds fixed records, one a segment: a header that says whose flags these are, and
the flags. A record counts from the moment its first byte is set, which is written last, and cleared first.

What was running is a suspect: it may be what ended the process. Not so when the process ended by its own will and cut it off:
it notes that first, in one byte for the whole file.

Whether a record is still true is the broker's to say: its committed offset carries the name of the process that wrote it (see
`offset_map`). A record counts when that is the record's own writer, or when the committed offset is still the very one that
the writer found when it got the partition. If anybody else has committed since, the record is out of date.
"""

from __future__ import annotations

import mmap
import os
import re
import secrets
import struct
from typing import Dict, List, NamedTuple, Tuple

from worker.assignment import Found
from worker.suspects import Place
from worker.tracker import DONE, OPEN, RUNNING, SEGMENT_SIZE, Memory, Range

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_HEADER = struct.Struct("<B8s8sqIqB249s")  # used, writer, writer found, offset found, partition, base, topic
_RECORD = _HEADER.size + SEGMENT_SIZE
RECORDS = 1024  # 1.3 MB a slot. Segments beyond that many are kept in memory only: after a crash their tasks may run again
SCARCE = 256  # free records: those that the map can do without are given back then


def boot_id() -> bytes:
    """Which boot of the machine this is: 36 characters. What an earlier one left on a disk is void, because after a power
    failure a record's header may have been written and its flags not. Where it can't be told, every process makes the file
    anew."""
    try:
        with open(_BOOT_ID, "rb") as file:
            return file.read(36)
    except OSError:
        return secrets.token_hex(18).encode()


class Record(NamedTuple):
    """A record that an earlier assignment left."""

    number: int
    writer: str
    found: Found
    done: List[Range]
    running: List[int]

    def holds(self, committed: Found) -> bool:
        """Whether nobody else has committed since it was written."""
        return committed.writer == self.writer or committed == self.found


class Journal:
    """One slot's file. Consumer thread only; handler threads set flags in it."""

    def __init__(self, path: str, writer: str) -> None:
        """Map the file, and read what is left in it. `writer` names this process. Raises OSError when there is no room."""
        self._writer = writer.encode()
        head = b"kafka-consumer journal 2, boot %s\n" % boot_id()
        self._innocence = len(head)  # where it is noted that whatever runs has not ended the process
        self._first = len(head) + 1
        size = self._first + RECORDS * _RECORD
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Reserved now: a full file system would otherwise kill us by SIGBUS at some later write.
            os.posix_fallocate(descriptor, 0, size)
            self._memory = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        if self._memory[: len(head)] != head:
            self._memory[:] = head + bytes(size - len(head))
        self._left: Dict[Tuple[str, int], List[Record]] = {}
        self._free = [index for index in range(RECORDS) if not self._memory[self._start(index)]]
        for index in set(range(RECORDS)).difference(self._free):
            self._remember(index)
        self.suspects: List[Place] = [] if self._memory[self._innocence] else self._ran()

    def resolve(self) -> None:
        """The suspects are known elsewhere now: the next process has to ask about ours only. Once, before anything is
        allocated."""
        for record in (record for records in self._left.values() for record in records if record.running):
            start = self._start(record.number) + _HEADER.size
            flags = self._memory[start : start + SEGMENT_SIZE]
            self._memory[start : start + SEGMENT_SIZE] = flags.replace(b"%c" % RUNNING, b"%c" % OPEN)
        self._memory[self._innocence] = 0

    def end(self) -> None:
        """This process ends by its own will: what still runs has nothing to do with it. Any thread."""
        self._memory[self._innocence] = 1

    def left(self, topic: str, partition: int, committed: Found) -> List[Range]:
        """Offsets that earlier assignments of a partition finished, as far as that is still true."""
        records = self._left.get((topic, partition), [])
        return [done for record in records if record.holds(committed) for done in record.done]

    def forget(self, topic: str, partition: int) -> None:
        """What earlier assignments left of a partition is now known elsewhere, or out of date."""
        for record in self._left.pop((topic, partition), []):
            self.release(record.number)

    def allocate(self, topic: str, partition: int, base: int, found: Found) -> Memory:
        """(memory, where a new segment's flags begin in it, record). Without a free record it is memory of its own, record
        -1."""
        if not self._free:
            return bytearray(SEGMENT_SIZE), 0, -1
        index = self._free.pop()
        name = topic.encode()
        header = _HEADER.pack(
            0, self._writer, found.writer.encode(), found.offset, partition, base, len(name), name
        )  # fmt: skip
        start = self._start(index)
        self._memory[start : start + _RECORD] = header + bytes(SEGMENT_SIZE)
        self._memory[start] = 1
        return self._memory, start + _HEADER.size, index

    @property
    def scarce(self) -> bool:
        """Whether free records are about to run out."""
        return len(self._free) < SCARCE

    def release(self, index: int) -> None:
        """The record is not needed any more."""
        if index >= 0:
            self._memory[self._start(index)] = 0
            self._free.append(index)

    def retire(self, index: int, *, reusable: bool) -> None:
        """The assignment ended without notice: if the partition comes back before anybody else committed, this still holds.
        Not `reusable`: a late result may still be written into it, so it never becomes another segment's."""
        if index >= 0:
            self._remember(index, reusable=reusable)

    def _ran(self) -> List[Place]:
        return [
            (topic, partition, offset)
            for (topic, partition), records in self._left.items()
            for record in records
            for offset in record.running
        ]

    def _remember(self, index: int, *, reusable: bool = True) -> None:
        start = self._start(index)
        _used, writer, writer_found, offset_found, partition, base, length, name = _HEADER.unpack_from(self._memory, start)
        flags = self._memory[start + _HEADER.size : start + _RECORD]
        done = [(base + run.start(), base + run.end()) for run in re.finditer(b"%c+" % DONE, flags)]
        running = [base + run.start() for run in re.finditer(b"%c" % RUNNING, flags)]
        found = Found(offset_found, writer_found.rstrip(b"\0").decode("ascii", "replace"))
        record = Record(index if reusable else -1, writer.decode("ascii", "replace"), found, done, running)
        self._left.setdefault((name[:length].decode("utf-8", "replace"), partition), []).append(record)

    def _start(self, index: int) -> int:
        return self._first + index * _RECORD
