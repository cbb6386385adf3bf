"""Signals become plain data in one place: a handler that does work can run between any two instructions, even inside a lock
or a client's callback, where an exception would silently lose messages. So ours do nothing at all; the interpreter writes
the number to a socket (`signal.set_wakeup_fd`), and the main loop of the process reads it when it is ready to.

Used by all our processes, in their main threads: the first thing they do is to decide what becomes of signals.
"""

from __future__ import annotations

import os
import signal
import socket
from collections import deque
from typing import Any, Callable, Deque, Dict, Iterable, List

_NEEDED = (signal.SIGPIPE, signal.SIGCHLD)
_RAISED: Deque[str] = deque(maxlen=100)

_FORMER: Dict[int, Any] = {}  # reactions that ours have taken the place of
_NOTED: List[int] = []  # signals that came before there was an inbox
_INBOXES: List[SignalInbox] = []  # at most the last one


def _pass(_number: int, _frame: object) -> None:
    """Keeps Python from its default reaction; the number, if anybody wants it, is already on its way to `SignalInbox`."""


def _note(number: int, _frame: object) -> None:
    """Kept for the inbox that is still to be made."""
    _NOTED.append(number)


def _take_over(number: int, reaction: Any) -> None:
    _FORMER.setdefault(number, signal.signal(number, reaction) or signal.SIG_DFL)


class SignalInbox:
    """Receives the given signals from now on. `fileno()` is readable when some have come; only the main thread may make
    one."""

    def __init__(self, signals: Iterable[int]) -> None:
        """Take over these signals, and those that were noted; all others have their usual reaction."""
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        # No warning when full: a signal more or less in a flood of thousands changes nothing.
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._wanted = set(signals)
        for number in self._wanted:
            _take_over(number, _pass)
            self._writer.send(bytes(number for _ in range(_NOTED.count(number))))
            _NOTED[:] = [each for each in _NOTED if each != number]
        _INBOXES[:] = [self]
        give_back()

    def fileno(self) -> int:
        """The descriptor that a selector waits for."""
        return self._reader.fileno()

    def take(self) -> List[int]:
        """The signals that came since the last call, in order. (The interpreter tells of all that have a reaction, the user's
        too.)"""
        try:
            return [number for number in self._reader.recv(4096) if number in self._wanted]
        except BlockingIOError:
            return []

    def close(self) -> None:
        """It hears nothing any more."""
        signal.set_wakeup_fd(-1)
        self._reader.close()
        self._writer.close()


def note(*signals: int) -> None:
    """First of all in the life of a process that will have an inbox, or none: what comes before is not lost."""
    for number in signals:
        _take_over(number, _note)


def noted() -> List[int]:
    """What has come so far, if there is no inbox yet."""
    return list(_NOTED)


def give_back() -> None:
    """Nothing is noted any more: these signals have their usual effect again, and what has come of them has it now."""
    _restore(_note)
    while _NOTED:
        os.kill(os.getpid(), _NOTED.pop(0))


def give_up() -> None:
    """In a copy of this process, as a handler makes by forking: signals have their usual effect there, and nobody else hears
    of them. (The socket is the original's too, which would take a copy's SIGTERM for its own.)"""
    for inbox in _INBOXES:
        inbox.close()
    _restore(_pass)


def _restore(reaction: Any) -> None:
    for number, former in _FORMER.items():
        if signal.getsignal(number) is reaction:
            signal.signal(number, former)


def disregard(*signals: int) -> None:
    """Let these pass without a reaction. Unlike an ignored signal, which stays ignored in every program that is started from
    here, these end such a program as usual."""
    for number in signals:
        _take_over(number, _pass)


def ignore(*signals: int) -> None:
    """At the end of a process. The interpreter, which ends then, gives all others their usual effect again."""
    for number in signals:
        signal.signal(number, signal.SIG_IGN)


def reactions() -> Dict[int, Any]:
    """To each signal, as it is now."""
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def keep(before: Dict[int, Any], *, tame: bool) -> None:
    """Modules of a user's were imported: our reactions are in their place again, and those that we could not do without (that
    a connection has ended is told by the call, and so is the end of a process). `tame`: what other reactions raise ends
    nothing, because it is our code that runs in the main thread, and not the handler's."""
    for number, reaction in reactions().items():
        former = before[number]
        if reaction is former:
            continue
        if number in _NEEDED or getattr(former, "__module__", "") == __name__:
            signal.signal(number, former)
        elif tame and callable(reaction):
            signal.signal(number, _harmless(reaction))


def _harmless(reaction: Callable[[int, Any], Any]) -> Callable[[int, Any], None]:
    def called(number: int, frame: Any) -> None:
        try:
            reaction(number, frame)
        except BaseException as problem:  # not logged here: it may be the log that was interrupted
            _RAISED.append(f"{signal.Signals(number).name}: {type(problem).__name__}")

    return called


def raised() -> List[str]:
    """What reactions of the user's have raised since the last call, each once."""
    return sorted({_RAISED.popleft() for _ in range(len(_RAISED))})
