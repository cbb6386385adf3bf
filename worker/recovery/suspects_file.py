"""The suspects of one service on one host, in one small file of STATE_DIRECTORY, which all its processes share. It survives
restarts of the service and of the host.

For every change the file is read, modified and written under a lock, into a new file that takes the old one's name only when
it is on the disk: a reader, and whoever comes after a power failure, sees it before or after, never between. While there is no
such directory, or no room in it, this process remembers for itself alone.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from typing import Callable, Iterable, List, Optional, Set

from kafka_worker.partitions.task import TaskId
from kafka_worker.recovery.suspects import Suspects, blamed, decoded, encoded, remembered, without
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.logs import Seldom
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import locks, room, runtime_files

log = logs.logger(__name__)

NAME = "suspects.json"
LOCK_SECONDS = 0.3  # for others to finish with the file: that takes them milliseconds, and heartbeats must be sent
AGAIN_SECONDS = 5.0  # before a disk that was of no use is tried again
SHARE = 10  # times as long as a write took passes before what is done by then is forgotten
Change = Callable[[Suspects], Suspects]


class SuspectsFile:
    """Any thread. Nothing here raises: a memory that fails is one warning, and the messages are still run alone. And nothing
    waits for long: what can't be written, because another process holds the file (and was stopped) or the disk is full, is
    owed. It counts here at once, and is written by a later change, or by `write_owed`.

    Forgetting is always owed at first: thousands may have run when all processes of a host died, and the file is written
    whole. If that is lost, some messages run apart once more."""

    def __init__(self, settings: Optional[Settings], clock: Callable[[], float] = time.time) -> None:
        """`settings` None: a memory of this process alone. `clock` gives seconds since 1970."""
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._damaged = False  # the file is, and that was said
        self._kept = Seldom(log, time.monotonic)  # that somebody keeps the file
        self._complaint = Seldom(log, time.monotonic)
        self._stored: Suspects = {}  # as last read or written
        self._owed: List[Change] = []  # what is to be done to that
        self._gone: Set[TaskId] = set()  # what is to be forgotten after that
        self._kept_away = False  # somebody kept the file when we last wanted it
        self._useless = False  # the disk was of no use then
        self._next = 0.0  # monotonic seconds: before that, nothing is written only to forget, or to a disk of no use
        self.known: Suspects = {}  # both together

    def read(self) -> Suspects:
        """What is remembered now, by all processes."""
        return self._change([])

    def blame(self, suspects: Iterable[TaskId], how: str) -> Suspects:
        """One more death of each of these; returns what is remembered then."""
        listed, now = list(suspects), self._clock()
        return self._change([lambda before: blamed(before, listed, how, now)])

    def forget(self, suspects: Iterable[TaskId]) -> None:
        """These have come to their end. It costs nothing for messages that are no suspects."""
        listed = [place for place in suspects if place in self.known]
        if listed:
            with self._lock:
                self._gone.update(listed)
                self.known = without(self.known, listed)

    def write_owed(self) -> bool:
        """Write what is owed, if that can be done without waiting. Returns whether nothing is owed any more, except to a disk
        of no use: for that nobody waits."""
        due = time.monotonic() >= self._next
        if (self._owed and not self._useless) or (due and (self._owed or self._gone)):
            self._change([])
        return self._useless or not (self._owed or self._gone)

    def _change(self, changes: List[Change]) -> Suspects:
        with self._lock:
            patience = 0.0 if self._kept_away else LOCK_SECONDS  # after one has waited in vain nobody waits again
            self._owed = [*self._owed, *self._forgetting(), *changes]
            if self._settings is None:
                self._stored, self._owed = self._with_owed(self._stored), []
            else:
                self._keep(self._settings, patience)
            self.known = self._with_owed(self._stored)
            return self.known

    def _forgetting(self) -> List[Change]:
        gone, self._gone = self._gone, set()
        return [lambda before: without(before, gone)] if gone else []

    def _with_owed(self, suspects: Suspects) -> Suspects:
        return functools.reduce(lambda before, change: change(before), self._owed, suspects)

    def _keep(self, settings: Settings, patience: float) -> None:
        try:
            with room.spare_files():  # it may be about who has opened all others
                self._on_disk(runtime_files.prepare_state(settings), patience)
            self._useless = False
        except (OSError, runtime_files.UnsafeDirectoryError) as problem:
            self._useless, self._next = True, time.monotonic() + AGAIN_SECONDS
            text = "Until that is mended, suspects are remembered by this process only, and not after its end: %s"
            self._complaint.log(logging.WARNING, text, problem, extra=about(Event.SUSPECTS_FORGOTTEN))

    def _on_disk(self, folder: str, patience: float) -> None:
        """Read it, and write what is owed, unless somebody keeps the file for longer than `patience` (seconds)."""
        path = os.path.join(folder, NAME)
        if not self._owed:
            self._stored = self._read(path)
            return
        lock = locks.Lock(path + ".lock")
        try:
            self._kept_away = not lock.acquire_within(patience)
            if not self._kept_away:
                began = time.monotonic()
                after = self._with_owed(self._read(path))
                runtime_files.replace(path, encoded(after))
                self._stored, self._owed = after, []
                self._next = time.monotonic() + SHARE * (time.monotonic() - began)
            else:
                self._stored = self._read(path)
                self._kept.log(
                    logging.WARNING, "%s is kept by a process that stands still; what is new is written later", path
                )
        finally:
            lock.release()

    def _read(self, path: str) -> Suspects:
        try:
            with open(path, encoding="utf-8") as file:
                return remembered(decoded(file.read()), self._clock())
        except FileNotFoundError:
            return {}
        except ValueError as problem:  # also a UnicodeDecodeError
            if not self._damaged:
                log.warning(
                    "%s is damaged (%s): what it knew of suspects is lost, the next one makes it anew",
                    path, problem, extra=about(Event.SUSPECTS_FORGOTTEN),
                )  # fmt: skip
            self._damaged = True
            return {}
