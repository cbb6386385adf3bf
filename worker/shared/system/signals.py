"""Signals become plain data in one place: a handler that does work can run between any two instructions, even inside a lock
or a client's callback, where an exception would silently lose messages. So ours do nothing at all; the interpreter writes
the number to a socket (`signal.set_wakeup_fd`), and the main loop of the process reads it when it is ready to.

Used by the supervisor and by each child, in their main threads.
"""

from __future__ import annotations

import signal
import socket
from typing import Iterable, List


def _recorded_by_the_wakeup_descriptor(_number: int, _frame: object) -> None:
    """Keeps Python from its default reaction; the number, if anybody wants it, is already on its way to `SignalInbox`."""


class SignalInbox:
    """Receives the given signals from now on. `fileno()` is readable when some have come; only the main thread may make
    one."""

    def __init__(self, signals: Iterable[int]) -> None:
        """Take over these signals; all others keep their reaction."""
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        # No warning when full: a signal more or less in a flood of thousands changes nothing.
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in signals:
            signal.signal(number, _recorded_by_the_wakeup_descriptor)

    def fileno(self) -> int:
        """The descriptor that a selector waits for."""
        return self._reader.fileno()

    def take(self) -> List[int]:
        """The signals that came since the last call, in order."""
        try:
            return list(self._reader.recv(4096))
        except BlockingIOError:
            return []


def give_back() -> None:
    """In a copy of this process, as a handler makes by forking: signals have their usual effect there, and nobody else hears
    of them. (The socket is the original's too, which would take a copy's SIGTERM for its own.)"""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if signal.getsignal(number) is _recorded_by_the_wakeup_descriptor:
            signal.signal(number, signal.SIG_DFL)


def ignore(*signals: int) -> None:
    """Ignore these: a terminal's Ctrl-C is the supervisor's business, and children learn of it from there."""
    for number in signals:
        signal.signal(number, signal.SIG_IGN)


def disregard(*signals: int) -> None:
    """Let these pass without a reaction. Unlike an ignored signal, which stays ignored in every program that is started from
    here, these end such a program as usual."""
    for number in signals:
        signal.signal(number, _recorded_by_the_wakeup_descriptor)
