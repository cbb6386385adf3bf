"""What our threads rely on, and modules of a user may change, because a process has it once: threads, clocks, sockets,
descriptors, the interpreter's own settings. What can be put back is put back; what can't is a fault, told at the start: it
would end in a standstill, or in a death for which a message is blamed.

(What else is often replaced, as `json.dumps` and `random.seed`, we have under names of our own.)
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from typing import Callable, Dict, Iterator, List, Tuple

from kafka_worker.shared.output import last_words, streams
from kafka_worker.shared.system.room import NO_THREAD

PROBE_SECONDS = 5.0  # for a thread that does nothing
SMALLEST_STACK = 1 << 20  # bytes: less is not enough for what we and the Kafka client call
_CLOCKS = {"time.monotonic": time.monotonic, "time.time": time.time}
_CLOCK_SECONDS = 1.0  # a clock that is set goes another way for a moment
_SWITCH_INTERVAL, _RECURSION = sys.getswitchinterval(), sys.getrecursionlimit()
_native_id = threading.get_native_id
_FILES = "/proc/self/fd"
_WAY_OUT = "leave that out, or set ISOLATION=process, where the handler has a process to itself"


class Surroundings:
    """As they are before a module of the user's is imported."""

    def __init__(self) -> None:
        """Look at them."""
        self._modules = set(sys.modules)
        self._files = dict(_open_files())
        self._user = os.geteuid()
        self._lacks = _lacks()

    def faults(self, *, apart: bool) -> List[str]:
        """What has become of them since, and can't be put back. `apart`: in a task process, which needs no more than to hear
        and answer: what is in the way of that in ours, as monkey patches, works there."""
        found = []
        gone = [number for number, file in self._files.items() if streams.place(number) != file]
        if gone and not self._modules.issuperset(sys.modules):  # else by others, as by garbage that a test has left
            found.append(f"closes descriptors that are not its own ({', '.join(map(str, gone))})")
        if os.geteuid() != self._user:
            found.append("changes the user, who can't use the files of the service then: start it as that user")
        if not apart:
            found += [lack for lack in _lacks() if lack not in self._lacks]
        return found


def _open_files() -> Iterator[Tuple[int, Tuple[int, int]]]:
    """Number and identity of each open file beyond the standard ones."""
    with contextlib.suppress(OSError):  # Linux has it
        for name in os.listdir(_FILES):
            file = streams.place(int(name))
            if file is not None and int(name) > 2:  # noqa: PLR2004 (standard error)
                yield int(name), file


def _lacks() -> List[str]:
    """What does not work here as it must."""
    probes: Dict[str, Callable[[], bool]] = {
        f"replaces threads by something else, as gevent and eventlet do by monkey patching: {_WAY_OUT}": _threads_are_real,
        f"replaces clocks (time.monotonic, time.time), as freezegun does: {_WAY_OUT}": _clocks_run,
        f"replaces sockets by something that is none: {_WAY_OUT}": _sockets_work,
    }
    return [lack for lack, works in probes.items() if not _tried(works)]


def _tried(works: Callable[[], bool]) -> bool:
    try:
        return works()
    except (OSError, MemoryError):  # a lack of memory or descriptors: nothing is known
        return True
    except Exception as problem:
        return NO_THREAD in str(problem)  # likewise


def _threads_are_real() -> bool:
    """A greenlet would run in the thread that waits for it, and only when that waits in greenlets' way."""
    seen: List[int] = []
    thread = threading.Thread(target=lambda: seen.append(_native_id()), name="probe", daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return seen != [] and seen[0] != _native_id()


def _clocks_run() -> bool:
    for name, clock in _CLOCKS.items():
        before, now, after = clock(), getattr(time, name.partition(".")[2])(), clock()
        if not before - _CLOCK_SECONDS <= now <= after + _CLOCK_SECONDS:
            return False
    return True


def _sockets_work() -> bool:
    one, other = socket.socketpair()
    with one, other:
        one.sendall(b"x")
        return other.recv(1) == b"x"


def restore() -> None:
    """Put back what belongs to the whole interpreter, where it would be in our way. Cheap: called again and again."""
    if sys.getswitchinterval() > _SWITCH_INTERVAL:  # a handler that computes would keep us from our heartbeats
        sys.setswitchinterval(_SWITCH_INTERVAL)
    if sys.getrecursionlimit() < _RECURSION:
        sys.setrecursionlimit(_RECURSION)
    last_words.keep()


def after_import() -> None:
    """The same, once the user's modules are imported. Threads get enough of a stack; a standard descriptor that was closed
    leads to nowhere, or the next file would get its number, and what is printed."""
    restore()
    wanted = threading.stack_size()  # to ask for it sets it back
    threading.stack_size(max(wanted, SMALLEST_STACK) if wanted else 0)
    streams.reopen()
