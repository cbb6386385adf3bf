"""Copies of this process, as handlers make by forking (`os.fork`, `multiprocessing`). A copy has our sockets, our files and
the code that called the handler, so it would go on as if it were us: take tasks, answer for them, write outcomes. What a
handler does in a copy is its own affair; when it comes back to our code, the copy ends at once. And it may outlive us, so it
keeps nothing that others know us by.

(A flag, because asking for the pid would be a system call for each message. Whatever forks past Python is noticed by a task
process only, which asks.)
"""

from __future__ import annotations

import os
import select
import signal
from _thread import _local as local  # of `threading`, which not every command needs
from typing import Any, Callable, MutableMapping, NoReturn, Optional, Set
from weakref import WeakKeyDictionary

from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.system import signals

copied = False  # whether this process is such a copy
_LEFT: MutableMapping[Any, Callable[[Any], object]] = WeakKeyDictionary()  # what a copy gives up, and how


class _OfThread(local):
    in_the_copy: Optional[Callable[[], None]] = None
    mask: Set[int] = set()  # noqa: RUF012 (of signals; never changed in place)


of_thread = _OfThread()  # `in_the_copy`: what a copy that this thread makes does first


def end() -> NoReturn:
    """End this copy. What waits in buffers is the original's to write."""
    room = select.poll()
    room.register(2, select.POLLOUT)
    if room.poll(0):  # else nobody reads, and a copy must not wait for that
        os.write(2, b"process %d is a copy that a handler made by forking: it has come back, and ends\n" % os.getpid())
    os._exit(ExitCode.FAULT)


def leave(ours: Any, how: Callable[[Any], object]) -> None:
    """Have copies give this up, as long as we have it: `how` closes their descriptors of it."""
    _LEFT[ours] = how


def _hold_signals_back() -> None:
    """A copy could hear one before it was said there what signals do, and take it as we would: for nothing."""
    of_thread.mask = set(signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()))


def _let_signals_through() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, of_thread.mask)


def _begin() -> None:
    global copied  # noqa: PLW0603 (it is the process that is copied)
    copied = True
    signals.give_up()
    for ours, how in list(_LEFT.items()):
        how(ours)
    _let_signals_through()
    if of_thread.in_the_copy is not None:
        of_thread.in_the_copy()


os.register_at_fork(before=_hold_signals_back, after_in_parent=_let_signals_through, after_in_child=_begin)
