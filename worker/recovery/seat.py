"""What a child has on disk: the lock of its slot, and its journal. Either may be taken away while it works, by whatever cleans
temporary folders, and for either there may be no room when it begins."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from typing import Callable, Optional

from kafka_worker.recovery.journal import reserved
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.logs import Seldom
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import locks, runtime_files

log = logs.logger(__name__)

AGAIN_SECONDS = 1.0  # before what there was no room for is tried again


class Seat:
    """The seat of one slot. The consumer thread takes it, the main thread looks after it. It is never given up explicitly: as
    long as anything of us lives, the slot's journal is ours too."""

    def __init__(self, settings: Settings, slot: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is on disk yet."""
        self._settings = settings
        self._path = runtime_files.slot_lock(settings, slot)
        self._journal = runtime_files.slot_journal(settings, slot)
        self._clock = clock
        self._complaint = Seldom(log, clock)
        self._lock: Optional[locks.Lock] = None  # once it is held
        self._found: Optional[os.stat_result] = None  # of the journal
        self._next_try = math.inf  # when to look again for room for a journal
        self.holder = ""  # who has it while we wait for it, in its own words
        self.trouble = ""  # why it can't be taken; for an operator
        self.lost = ""  # what only a fresh process can have again; for an operator

    def take(self) -> None:
        """Wait until whoever had the slot before is dead, and as long as its lock can't be made: others work on meanwhile, and
        if we ended for that, they would, too."""
        while not self._taken():
            time.sleep(AGAIN_SECONDS)

    def _taken(self) -> bool:
        try:
            runtime_files.prepare(self._settings)
            lock, ours = locks.Lock(self._path), f"process {os.getpid()}"
            with contextlib.ExitStack() as stack:
                stack.callback(lock.release)  # we may hold it: the next try would wait for ourselves
                if not lock.try_acquire(ours):
                    self.holder = lock.note()
                    lock.acquire(ours)
                stack.pop_all()
        except (OSError, runtime_files.UnsafeDirectoryError) as problem:
            self.trouble = f"its slot can't be locked: {problem}"
            self._complaint.log(logging.WARNING, "The slot can't be locked: %s", problem, extra=about(Event.FILES_GONE))
            return False
        self._lock, self.holder, self.trouble = lock, "", ""
        return True

    def journal_opened(self) -> None:
        """From now on it has to be there."""
        try:
            self._found = os.stat(self._journal)
        except FileNotFoundError:  # it was taken away that soon
            self._lose()

    def journal_missing(self) -> None:
        """There is none. A fresh process gets one as soon as there is room; if there is room now, that was not the reason."""
        self._next_try = math.inf if self._has_room() else self._clock() + AGAIN_SECONDS

    def check(self) -> None:
        """Once a heartbeat: a lock that was taken away is made anew. A journal can't be: its memory is in use."""
        if self._lock is None:
            return
        try:
            if not self._lock.keep():
                text = "The lock of the slot was taken away, and another process has it by now"
                self._complaint.log(logging.ERROR, text, extra=about(Event.FILES_GONE))
            gone = self._found is not None and not runtime_files.is_there(self._journal, self._found)
        except OSError as problem:  # the folder is gone: the supervisor makes it anew
            text = "The lock of the slot can't be looked after: %s"
            self._complaint.log(logging.WARNING, text, problem, extra=about(Event.FILES_GONE))
            return
        if gone and not self.lost:
            self._lose()
        if self._clock() >= self._next_try:
            self._next_try = self._clock() + AGAIN_SECONDS
            self.lost = "there is room for its journal now" if self._has_room() else self.lost

    def _has_room(self) -> bool:
        with contextlib.suppress(OSError):
            os.close(reserved(self._journal))
            return True
        return False

    def _lose(self) -> None:
        self.lost = "its journal was taken away"
        log.warning(
            "%s was taken away: until a fresh process has another, a crash runs again what is done",
            self._journal, extra=about(Event.NO_JOURNAL),
        )  # fmt: skip
