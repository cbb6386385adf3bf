"""Locks between processes: `flock` on a file. The kernel gives it up when its holder dies, however that dies, so none is ever
stale."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import List, Optional

from kafka_worker.shared.system import forks, runtime_files
from kafka_worker.shared.system.deadline import Deadline

NAP_SECONDS = 0.002  # between two tries to have a lock


class Lock:
    """An exclusive lock on a file, held until `release` or the end of the process. It is that of a name: of a file that was
    taken away, and of the one that has its name by then, only the latter's counts. A copy of the process, as a handler makes
    by forking, does not hold it: it may outlive us, and whoever comes next would wait for it."""

    def __init__(self, path: str) -> None:
        """Open the file, without locking it yet."""
        self._path = path
        self._note: Optional[str] = None
        self._descriptors: List[int] = []  # of files that were taken away, and, last, of the one that counts
        self._open()
        forks.leave(self, Lock.release)

    def _open(self) -> None:
        self._descriptors.append(runtime_files.open_private(self._path, os.O_RDWR))

    def try_acquire(self, note: Optional[str] = None) -> bool:
        """Take the lock if it is free, and leave `note` in the file for whoever finds it taken."""
        self._note = note
        try:
            self._flock(fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self._leave_note()
        return True

    def _leave_note(self) -> None:
        if self._note is not None:
            with contextlib.suppress(OSError):  # a full disk
                os.ftruncate(self._descriptors[-1], 0)
                os.pwrite(self._descriptors[-1], self._note.encode(), 0)

    def acquire_within(self, seconds: float) -> bool:
        """Wait for the lock, but not for a holder that does not go on (SIGSTOP); whether it was had."""
        deadline = Deadline(seconds)
        while not self.try_acquire():
            if deadline.expired():
                return False
            time.sleep(NAP_SECONDS)
        return True

    def acquire(self, note: Optional[str] = None) -> None:
        """Wait for the lock, for as long as it takes: call it only where nobody waits for you."""
        self._flock(0)
        self._note = note
        self._leave_note()

    def _flock(self, how: int) -> None:
        """Lock the file that has the name. Those before stay locked too, for who waits at them."""
        fcntl.flock(self._descriptors[-1], fcntl.LOCK_EX | how)
        while not runtime_files.is_there(self._path, os.fstat(self._descriptors[-1])):
            self._open()
            try:
                fcntl.flock(self._descriptors[-1], fcntl.LOCK_EX | how)
            except BlockingIOError:
                os.close(self._descriptors.pop())
                raise

    def keep(self) -> bool:
        """To be called again and again while it is held: a file that was taken away is made anew, and locked. False: somebody
        else was faster. Raises OSError."""
        return runtime_files.is_there(self._path, os.fstat(self._descriptors[-1])) or self.try_acquire(self._note)

    def note(self) -> str:
        """What the holder left."""
        return os.pread(self._descriptors[-1], 256, 0).decode(errors="replace")

    def release(self) -> None:
        """Give the lock up. The file stays: removing it would let two processes lock two files of one name."""
        while self._descriptors:
            os.close(self._descriptors.pop())
