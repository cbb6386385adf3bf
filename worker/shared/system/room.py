"""Whether there is room for us: files, processes and threads, addresses. What can be raised is raised, and where there is too
little of something in any case, that is a fault at the start. Of who dies later it is asked whether there was room for it:
what was missing nobody tells. (The Kafka client aborts where it gets no thread.)

The limits and what they count: `setrlimit(2)`, `Documentation/admin-guide/cgroup-v1/pids.rst` of Linux.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import resource
from typing import TYPE_CHECKING, Iterator, List, NamedTuple, Optional, Tuple

from kafka_worker.shared.system import machine
from kafka_worker.shared.system.memory import MEBIBYTE, MEGABYTE

if TYPE_CHECKING:
    from kafka_worker.shared.settings import Settings

FILES_OF_ANY = 64  # open in any of our processes: sockets to brokers, channels, libraries that are being loaded
FILES_OF_A_CHILD = 6  # in the supervisor
FILES_OF_HTTP = 160  # in the HTTP part: its connections, and some to come
FILES_OF_A_TASK_PROCESS = 5  # in a child, of each thread with ISOLATION=process
FEW_FILES = 4  # left: who needs two at once has none
SPARE_FILES = 8  # of what a process may open: for what has to be written when its handlers have opened all others
NO_THREAD = "can't start new thread"  # as Python says it
LARGEST_FILE = MEBIBYTE  # bytes: what processes say to each other, and the log
THREADS_OF_SERVICE = 2  # the supervisor's
THREADS_OF_A_CHILD = 6  # beside its handlers': main, consumer, log; two of the client, and one for the first broker
THREADS_OF_A_TASK_PROCESS = 2
#: What is reserved of addresses, in all and for a thread, whatever is used of it: a stack, and for AS an arena of malloc.
RESERVED = (
    (resource.RLIMIT_AS, 256 * MEBIBYTE, 72 * MEBIBYTE, "ulimit -v, LimitAS= of systemd"),
    (resource.RLIMIT_DATA, 64 * MEBIBYTE, 8 * MEBIBYTE, "ulimit -d, LimitDATA= of systemd"),
)


class Limit(NamedTuple):
    """One on processes and threads, which count the same."""

    name: str
    most: float
    used: int


def make(settings: Settings) -> List[str]:
    """Raise the limits as far as is needed and allowed; a fault for each that is too low for us in any case."""
    isolated = FILES_OF_A_TASK_PROCESS * settings.threads_max if settings.isolation == "process" else 0
    served = FILES_OF_HTTP if settings.http else 0
    files = FILES_OF_ANY + max(FILES_OF_A_CHILD * settings.processes, isolated, served)
    threads = THREADS_OF_SERVICE + settings.processes * threads_of_a_child(settings)
    found = [
        _raised(resource.RLIMIT_NOFILE, files, "open files", "ulimit -n, LimitNOFILE= of systemd"),
        _raised(resource.RLIMIT_FSIZE, LARGEST_FILE, "bytes of a file", "ulimit -f, LimitFSIZE= of systemd"),
        None if _is_root() else _raised(resource.RLIMIT_NPROC, threads, "processes and threads", _OF_USER),
    ]
    found += [_low(limit.most, threads, "processes and threads", limit.name) for limit in _of_groups("/")]
    return [fault for fault in found if fault is not None]


def open_files() -> Tuple[int, int]:
    """At least so many files are open in this process, of so many that may be (0: any number): who opens one gets the lowest
    number that is free. 4 us, and to count them takes 300 where there are a thousand."""
    most = _files()[0]
    most = 0 if most == resource.RLIM_INFINITY else most
    try:
        lowest = os.open("/", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as problem:
        return (most if problem.errno == errno.EMFILE else 0), most
    os.close(lowest)
    return lowest, most


def none_left(files: int, most: int) -> bool:
    """Whether who has so many open can do next to nothing any more."""
    return 0 < most < files + FEW_FILES


def out_of_files() -> bool:
    """Whether this process can open next to none any more."""
    return none_left(*open_files())


def keep_spare_files() -> None:
    """From now on some of the files that may be open are for `spare_files` only."""
    soft, hard = _files()
    if hard != resource.RLIM_INFINITY and (soft == resource.RLIM_INFINITY or soft > hard - SPARE_FILES):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard - SPARE_FILES, hard))


@contextlib.contextmanager
def spare_files() -> Iterator[None]:
    """Meanwhile a few more files may be opened."""
    soft, hard = _files()
    if soft == resource.RLIM_INFINITY:
        yield
        return
    more = soft + SPARE_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (more if hard == resource.RLIM_INFINITY else min(more, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def threads_of_a_child(settings: Settings) -> int:
    """At least: each broker adds one or two."""
    apart = THREADS_OF_A_TASK_PROCESS if settings.isolation == "process" else 0
    return THREADS_OF_A_CHILD + settings.threads * (1 + apart)


def lack(settings: Settings, root: str = "/") -> str:
    """What there is too little of for one process more, now, in words to add to others; empty: nothing, as far as is known."""
    return lack_of_threads(threads_of_a_child(settings), root)


def lack_of_threads(wanted: int, root: str = "/") -> str:
    """The same for so many threads."""
    for limit in _limits(root):
        if limit.most - limit.used < wanted:
            return (
                f"; the machine has no room: {limit.most:.0f} processes and threads are allowed ({limit.name}), "
                f"{limit.used} are in use, and {wanted} or more needed"
            )
    for what, of_process, of_thread, by in RESERVED:
        allowed, reserved = _soft(what), of_process + wanted * of_thread
        if allowed < reserved:
            return (
                f"; it may be for want of addresses: {allowed / MEGABYTE:.0f} MB are allowed ({by}), and up to "
                f"{reserved / MEGABYTE:.0f} MB reserved, whatever is used. What bounds memory is MEMORY_LIMIT"
            )
    return ""


_OF_USER = "of this user, all programs together: ulimit -u, LimitNPROC= of systemd"
_OF_GROUP = "of its control group: pids.max, TasksMax= of systemd, --pids-limit of a container"


def _limits(root: str) -> Iterator[Limit]:
    yield from _of_groups(root)
    if not _is_root() and _soft(resource.RLIMIT_NPROC) < math.inf:
        yield Limit(_OF_USER, _soft(resource.RLIMIT_NPROC), _of_this_user(root))
    most, running = machine.read(f"{root}proc/sys/kernel/threads-max"), machine.read(f"{root}proc/loadavg")
    with contextlib.suppress(ValueError, IndexError):
        yield Limit("of the machine: kernel.threads-max", int(most or ""), int((running or "").split()[3].partition("/")[2]))


def _of_groups(root: str) -> Iterator[Limit]:
    for folder in machine.groups("pids", root):
        most, used = (machine.read(os.path.join(folder, name)) or "" for name in ("pids.max", "pids.current"))
        if most.strip().isdigit() and used.strip().isdigit():
            yield Limit(_OF_GROUP, int(most), int(used))


def _of_this_user(root: str) -> int:
    """Threads that this user has, as far as we may see them. None are seen where no folder can be opened just now."""
    threads = 0
    for name in filter(str.isdigit, _names(f"{root}proc")):
        with contextlib.suppress(OSError):  # it has ended
            if os.stat(f"{root}proc/{name}").st_uid == os.getuid():
                threads += len(_names(f"{root}proc/{name}/task"))
    return threads


def _names(folder: str) -> List[str]:
    with contextlib.suppress(OSError):
        return os.listdir(folder)
    return []


def _is_root() -> bool:
    """The kernel bounds root's processes by no limit of the user's."""
    return os.getuid() == 0


def _files() -> Tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def _soft(what: int) -> float:
    soft = resource.getrlimit(what)[0]
    return math.inf if soft == resource.RLIM_INFINITY else soft


def _raised(what: int, needed: int, of_what: str, by: str) -> Optional[str]:
    soft, hard = (math.inf if limit == resource.RLIM_INFINITY else limit for limit in resource.getrlimit(what))
    if soft < needed <= hard:
        resource.setrlimit(what, (needed, resource.getrlimit(what)[1]))
        return None
    return _low(max(soft, hard), needed, of_what, by)


def _low(most: float, needed: int, of_what: str, by: str) -> Optional[str]:
    return f"{most:.0f} {of_what} are allowed, and {needed} needed. Raise the limit ({by})." if most < needed else None
