"""Where the processes of one service meet on this machine: a folder under the runtime directory, named after group and host,
with the control socket and the lock files. The host is part of the name, because two hosts may share a file system (and tests
give a second host name to one machine). It is the name that this machine had when the supervisor was started: a machine may
be called something else while the service runs.

Both levels may be in a folder that everybody can write to: they must be this user's own, and no links. And whatever is in
them may be taken away while the service runs, by whatever cleans temporary folders: who holds a lock looks after it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import os
import re
import stat
from typing import Callable, List

from kafka_worker.shared.foreign.digest import digest
from kafka_worker.shared.settings import Settings

_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO}
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class UnsafeDirectoryError(Exception):
    """The runtime or the state directory cannot be used; the text says why and what to do."""


class NoRoomError(UnsafeDirectoryError):
    """A folder that can't be used, for a reason that may pass by itself."""


def folder(settings: Settings) -> str:
    """The service's own folder."""
    return os.path.join(settings.runtime_directory, _name(settings))


def state_folder(settings: Settings) -> str:
    """The folder of what should survive a restart of the host."""
    return os.path.join(settings.state_directory, _name(settings))


def _name(settings: Settings) -> str:
    """A short name with a digest, because a Unix socket's whole path must fit 107 bytes."""
    identity = f"{settings.group_id}@{settings.host}"
    return f"{_readable(settings)}-{digest(identity.encode(), 10)}"


def _readable(settings: Settings) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "_", settings.group_id)[:24]


def prepare(settings: Settings) -> str:
    """Make the folder, private to this user, and return it. Raises UnsafeDirectoryError."""
    path = _private(settings.runtime_directory, _name(settings), "RUNTIME_DIRECTORY")
    must_have_room_for_a_socket(settings)
    return path


def must_have_room_for_a_socket(settings: Settings) -> None:
    """Raises UnsafeDirectoryError where the path of the folder is too long for one in it."""
    if len(os.fsencode(control_socket(settings))) > 107:  # noqa: PLR2004 (sun_path of unix(7), less its NUL)
        raise UnsafeDirectoryError(
            f"RUNTIME_DIRECTORY {settings.runtime_directory} is too long for a Unix socket in it (107 bytes in "
            "all); choose a shorter one"
        )


def prepare_state(settings: Settings) -> str:
    """Make and check the folder of what should survive a restart of the host."""
    return _private(settings.state_directory, _name(settings), "STATE_DIRECTORY")


def faults(settings: Settings) -> List[str]:
    """Why they could not be prepared, or take nothing more. Nothing is made or changed for that."""
    found = []
    judged: List[Callable[[], object]] = [
        lambda: must_have_room_for_a_socket(settings),
        lambda: _private(settings.runtime_directory, _name(settings), "RUNTIME_DIRECTORY", make=False),
        lambda: _private(settings.state_directory, _name(settings), "STATE_DIRECTORY", make=False),
    ]
    for judge in judged:
        try:
            judge()
        except UnsafeDirectoryError as problem:
            found.append(str(problem))
    return found


def _private(directory: str, name: str, setting: str, *, make: bool = True) -> str:
    """The path of our folder in this one, which is ours alone when this returns; or, where none is to be made, would be."""
    path = os.path.join(directory, name)
    directory = directory.rstrip("/") or "/"  # else a link would be followed
    try:
        with contextlib.ExitStack() as stack:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.makedirs(directory, mode=0o700)
            elif not os.path.lexists(directory):
                _must_be_possible(directory)
                return path
            if os.lstat(directory).st_uid not in (os.getuid(), 0):  # also of a link: root's may lead us, a stranger's not
                raise UnsafeDirectoryError(_foreign(directory, setting))
            above = os.open(directory, _FOLDER)
            stack.callback(os.close, above)
            _must_be_safe(os.fstat(above), directory, setting)
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, mode=0o700, dir_fd=above)
            elif not os.path.lexists(path):
                must_take_more(directory, path)
                return path
            ours = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
            stack.callback(os.close, ours)
            if os.fstat(ours).st_uid != os.getuid():
                raise UnsafeDirectoryError(_foreign(path, setting))
            if make:
                os.fchmod(ours, 0o700)  # it may have been there already
            elif os.fstat(ours).st_mode & stat.S_IRWXU == stat.S_IRWXU:  # else it will be when it is prepared
                must_take_more(path)
    except OSError as problem:
        kind = NoRoomError if problem.errno in _PASSING else UnsafeDirectoryError
        raise kind(f"{setting} {path} cannot be used: {problem}. Mend that, or set {setting} to one of yours") from problem
    return path


def _must_be_safe(found: os.stat_result, directory: str, setting: str) -> None:
    """Nobody but root and we may take our folder out of it. What root lets everybody write to is root's to judge."""
    if found.st_uid not in (os.getuid(), 0):
        raise UnsafeDirectoryError(_foreign(directory, setting))
    if found.st_uid and found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise UnsafeDirectoryError(f"{setting} {directory} can be written to by everybody: chmod o-w it")


def _foreign(path: str, setting: str) -> str:
    return f"{path} belongs to another user; set {setting} to one of yours"


def hold(path: str) -> int:
    """A descriptor of a folder, with a lock by which systemd-tmpfiles leaves alone what is in it. Raises OSError."""
    descriptor = os.open(path, _FOLDER | os.O_NOFOLLOW)
    with contextlib.suppress(OSError):  # some file systems have none
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return descriptor


def touch(path: str) -> None:
    """This folder of the service, and all in it, was used just now: who cleans temporary folders goes by that."""
    for each in (os.path.dirname(path), path, *glob.glob(os.path.join(glob.escape(path), "*"))):
        with contextlib.suppress(OSError):  # it is gone, or not ours
            os.utime(each, follow_symlinks=False)


def control_socket(settings: Settings) -> str:
    """Path of the supervisor's control socket."""
    return os.path.join(folder(settings), "control")


def other_control_sockets(settings: Settings) -> List[str]:
    """Those of services that may be this one under another name of its host."""
    pattern = f"{glob.escape(os.path.join(settings.runtime_directory, _readable(settings)))}-*"
    return sorted(set(glob.glob(os.path.join(pattern, "control"))) - {control_socket(settings)})


def supervisor_lock(settings: Settings) -> str:
    """Path of the lock that one supervisor of this group holds on this host."""
    return os.path.join(folder(settings), "supervisor.lock")


def slot_lock(settings: Settings, slot: int) -> str:
    """Path of the lock that a slot's child holds from before it joins the group until after it has left."""
    return os.path.join(folder(settings), f"slot-{slot}.lock")


def slot_journal(settings: Settings, slot: int) -> str:
    """Path of the file in which a slot's child notes what is done; the slot's lock guards it."""
    return os.path.join(folder(settings), f"slot-{slot}.journal")


def slot_follow_up(settings: Settings, slot: int) -> str:
    """Path of the file that is there while a slot's member owes its group a word; the slot's lock guards it."""
    return os.path.join(folder(settings), f"slot-{slot}.rejoin")


def open_private(path: str, how: int) -> int:
    """A descriptor of a file that only this user may use, made if it is missing, whatever mask a handler has set. Links are
    not followed. Raises OSError."""
    descriptor = os.open(path, how | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def replace(path: str, text: str) -> None:
    """The new content is on the disk before it takes the old one's name, and so is the name when this returns. Raises
    OSError."""
    with open(open_private(path + ".new", os.O_WRONLY | os.O_TRUNC), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _must_be_possible(directory: str) -> None:
    """Raises OSError where it is not there and could not be made."""
    above = missing = directory
    while not os.path.exists(above):
        missing, above = above, os.path.dirname(above)
    try:
        os.lstat(missing)
    except FileNotFoundError:
        must_take_more(above, missing)
    else:  # a link that leads nowhere
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), directory)


def must_take_more(folder: str, new: str = "") -> None:
    """Raises OSError when no file can be made in it: its disk is full, or read-only, or is another user's. `new`: which one is
    to be made, if that is known."""
    disk = os.statvfs(folder)
    blocks, files = (disk.f_bavail, disk.f_favail) if os.getuid() else (disk.f_bfree, disk.f_ffree)
    if (disk.f_blocks and not blocks) or (disk.f_files and not files):  # none in all: a disk without a limit
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), new or folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        code = errno.EROFS if disk.f_flag & os.ST_RDONLY else errno.EACCES
        raise OSError(code, os.strerror(code), new or folder)


def is_there(path: str, found: os.stat_result) -> bool:
    """Whether the path still leads to the file that was found there. Raises OSError other than for a missing file."""
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), found)
    except FileNotFoundError:
        return False
