"""Where the processes of one service meet on this machine: a folder under the runtime directory, named after group and host,
with the control socket and the lock files. The host is part of the name, because two hosts may share a file system (and tests
give a second host name to one machine).

A lock is `flock` on a file: the kernel gives it up when its holder dies, however it dies, so there is no stale lock to clean.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import socket
import time
from typing import Optional

from service.deadline import Deadline
from service.settings import Settings

NAP_SECONDS = 0.002  # between two tries to have a lock


class UnsafeDirectoryError(Exception):
    """The runtime or the state directory cannot be used; the text says why and what to do."""


def host_name() -> str:
    """This host's name, as it appears in member ids."""
    return socket.gethostname()


def folder(settings: Settings) -> str:
    """The service's own folder."""
    return os.path.join(settings.runtime_directory, _name(settings))


def _name(settings: Settings) -> str:
    """A short name with a digest, because a Unix socket's whole path must fit 107 bytes."""
    identity = "%s@%s" % (settings.group_id, host_name())
    readable = re.sub(r"[^A-Za-z0-9.-]+", "_", settings.group_id)[:24]
    return "%s-%s" % (readable, hashlib.sha256(identity.encode()).hexdigest()[:10])


def prepare(settings: Settings) -> str:
    """Make the folder, private to this user, and return it. Raises UnsafeDirectoryError."""
    path = _private(settings.runtime_directory, _name(settings), "RUNTIME_DIRECTORY")
    if len(os.fsencode(control_socket(settings))) > 107:  # noqa: PLR2004 (sun_path of unix(7), less its NUL)
        raise UnsafeDirectoryError(
            "RUNTIME_DIRECTORY %s is too long for a Unix socket in it (107 bytes in all); choose a shorter one"
            % settings.runtime_directory
        )
    return path


def prepare_state(settings: Settings) -> str:
    """The same for the folder of what should survive a restart of the host."""
    return _private(settings.state_directory, _name(settings), "STATE_DIRECTORY")


def _private(directory: str, name: str, setting: str) -> str:
    path = os.path.join(directory, name)
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        os.makedirs(path, mode=0o700, exist_ok=True)
        if os.stat(path).st_uid != os.getuid():
            raise UnsafeDirectoryError("%s belongs to another user; set %s to one of yours" % (path, setting))
        os.chmod(path, 0o700)  # it may have been there already
    except OSError as problem:
        raise UnsafeDirectoryError("%s %s cannot be used: %s" % (setting, path, problem)) from problem
    return path


def control_socket(settings: Settings) -> str:
    """Path of the supervisor's control socket."""
    return os.path.join(folder(settings), "control")


def supervisor_lock(settings: Settings) -> str:
    """Path of the lock that one supervisor of this group holds on this host."""
    return os.path.join(folder(settings), "supervisor.lock")


def slot_lock(settings: Settings, slot: int) -> str:
    """Path of the lock that a slot's child holds from before it joins the group until after it has left."""
    return os.path.join(folder(settings), "slot-%d.lock" % slot)


def slot_journal(settings: Settings, slot: int) -> str:
    """Path of the file in which a slot's child notes what is done; the slot's lock guards it."""
    return os.path.join(folder(settings), "slot-%d.journal" % slot)


class Lock:
    """An exclusive lock on a file, held until `release` or the end of the process."""

    def __init__(self, path: str) -> None:
        """Open the file, without locking it yet."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def try_acquire(self, note: Optional[str] = None) -> bool:
        """Take the lock if it is free, and leave `note` in the file for whoever finds it taken."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if note is not None:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, note.encode(), 0)
        return True

    def acquire_within(self, seconds: float) -> bool:
        """Wait for the lock, but not for a holder that does not go on (SIGSTOP); whether it was had."""
        deadline = Deadline(seconds)
        while not self.try_acquire():
            if deadline.expired():
                return False
            time.sleep(NAP_SECONDS)
        return True

    def acquire(self) -> None:
        """Wait for the lock, for as long as it takes: call it only where nobody waits for you."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def note(self) -> str:
        """What the holder left."""
        return os.pread(self._descriptor, 256, 0).decode(errors="replace")

    def release(self) -> None:
        """Give the lock up. The file stays: removing it would let two processes lock two files of one name."""
        os.close(self._descriptor)
