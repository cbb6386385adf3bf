"""The suspects of one service on one host, in one small file of STATE_DIRECTORY, which all its processes share. It survives
restarts of the service and of the host.

Every change is read, modified and written under a lock, into a new file that takes the old one's name only when it is on the
disk: a reader, and whoever comes after a power failure, sees the file before or after, never between. Without such a directory
the memory is this process's own.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Callable, Iterable, Optional

from service import places
from service.settings import Settings
from worker.suspects import Place, Suspects, blamed, decoded, encoded, remembered, without

log = logging.getLogger(__name__)

NAME = "suspects.json"


class SuspectsFile:
    """Any thread. Nothing here raises: a memory that fails is one warning, and the messages are still run alone."""

    def __init__(self, settings: Optional[Settings], clock: Callable[[], float] = time.time) -> None:
        """`settings` None: a memory of this process alone. `clock` gives seconds since 1970."""
        self._clock = clock
        self._lock = threading.Lock()
        self._folder: Optional[str] = None
        self._damaged = False  # the file, and that was said
        self.known: Suspects = {}  # as far as last read
        if settings is not None:
            try:
                self._folder = places.prepare_state(settings)
            except places.UnsafeDirectoryError as problem:
                self._complain(problem)

    def read(self) -> Suspects:
        """What is remembered now, by all processes."""
        return self._change(None)

    def blame(self, suspects: Iterable[Place], how: str) -> Suspects:
        """One death more of each of these; what is remembered then."""
        listed = list(suspects)
        return self._change(lambda before: blamed(before, listed, how, self._clock()))

    def forget(self, suspects: Iterable[Place]) -> None:
        """These have come to their end. Costs nothing for messages that are no suspects."""
        listed = [place for place in suspects if place in self.known]
        if listed:
            self._change(lambda before: without(before, listed))

    def _change(self, change: Optional[Callable[[Suspects], Suspects]]) -> Suspects:
        with self._lock:
            if self._folder is not None:
                try:
                    self.known = self._on_disk(self._folder, change)
                except OSError as problem:
                    self._folder = None
                    self._complain(problem)
                else:
                    return self.known
            if change is not None:
                self.known = change(self.known)
            return self.known

    def _on_disk(self, folder: str, change: Optional[Callable[[Suspects], Suspects]]) -> Suspects:
        path = os.path.join(folder, NAME)
        if change is None:
            return self._read(path)
        lock = places.Lock(path + ".lock")
        try:
            lock.acquire()
            after = change(self._read(path))
            _replace(path, encoded(after))
        finally:
            lock.release()
        return after

    def _read(self, path: str) -> Suspects:
        try:
            with open(path, encoding="utf-8") as file:
                return remembered(decoded(file.read()), self._clock())
        except FileNotFoundError:
            return {}
        except ValueError as problem:  # also a UnicodeDecodeError
            if not self._damaged:
                log.warning("%s is damaged (%s): what it knew of suspects is lost, the next one makes it anew", path, problem)
            self._damaged = True
            return {}

    def _complain(self, problem: Exception) -> None:
        log.warning("Suspects are remembered by this process only, and not after its end: %s", problem)


def _replace(path: str, text: str) -> None:
    """The new content is on the disk before it takes the old one's name, and so is the name when this returns."""
    descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
