"""When a process should be recycled: it has grown too large, has nearly all the files open that it may, has done enough, or is
old enough. Pure. The supervisor does it."""

from __future__ import annotations

from typing import Callable

from kafka_worker.shared.system import room
from kafka_worker.shared.system.memory import MEGABYTE

JITTER = 0.1  # either way, so that the processes of a service do not all go at once
EARLY_SECONDS = 60.0  # who is too large by then was so from the start: a new process would be no smaller
GROWN = 1.1  # times what it was then: now a new one would be
FILES_SHARE = 0.8  # of those that it may have open: who has more of them leaves them open
FEW_FILES = 256  # that may be open, and fewer: its own may be most of them


class Recycling:
    """Says of one process when it should be recycled."""

    def __init__(self, messages: int, seconds: float, soft_limit: int, chance: Callable[[], float]) -> None:
        """Recycle after so many messages, so many seconds, and above so many bytes in RAM; 0: never. `chance` gives a number
        from 0 to 1."""
        factor = 1 - JITTER + 2 * JITTER * chance()
        self._messages = messages * factor
        self._seconds = seconds * factor
        self._soft_limit = soft_limit
        self._from_the_start = 0  # bytes of a process that was too large early
        self.oversized = False  # too large, and a new process would be as large
        self.outgrown = False  # too large early, and it has grown on: what runs in it is why, and would do that to the next
        self.out_of_files = False  # it can open none
        self._needs_files = False  # it had nearly all of them open early: a new process would, too

    def reason(self, age: float, done: int, resident: int, files: int = 0, most_files: int = 0) -> str:
        """Why the process should be recycled; empty: it should not. `age` in seconds, `resident` in bytes; so many `files` are
        open, of `most_files` that may be (0: any number)."""
        self._weigh(age, resident)
        many = most_files > FEW_FILES and files > FILES_SHARE * most_files
        self.out_of_files = room.none_left(files, most_files)
        self._needs_files = self._needs_files or (many and age < EARLY_SECONDS)
        if self._soft_limit and resident > self._soft_limit and not self.oversized:
            return f"RSS {resident // MEGABYTE} MB above its share of {int(self._soft_limit) // MEGABYTE} MB"
        if self.out_of_files or (many and not self._needs_files):  # with none left, calls fail, and no other is worse off
            return f"{files} files open, of {most_files} that may be"
        if self._messages and done >= self._messages:
            return f"{done} messages done"
        if self._seconds and age >= self._seconds:
            return f"{age:.0f} s old"
        return ""

    def _weigh(self, age: float, resident: int) -> None:
        above = bool(self._soft_limit) and resident > self._soft_limit
        if above and age < EARLY_SECONDS and not self._from_the_start:
            self._from_the_start = resident
        self.oversized = above and resident < GROWN * self._from_the_start
        self.outgrown = above and not self.oversized and self._from_the_start > 0
