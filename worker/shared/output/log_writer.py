"""The one who writes to standard error, and to standard output: a thread of its own, so that nobody else ever waits for who
reads them. A terminal that is held, a pager, a log driver of a container that blocks: what finds no room is dropped and
counted, everything else goes on, and when it flows again it is told how much is missing.

While somebody reads, a line is written when the call that has it written returns: what a handler has logged is there when the
next thing it does ends the process.

Not of `queue.Queue`, nor of the standard library's QueueListener: those can be waited for only without a limit, their locks
are copied by a handler's fork as they are, and a finalizer that prints while its thread holds one would wait for itself.
"""

from __future__ import annotations

import fcntl
import io
import itertools
import os
import select
import signal
import time
from _thread import LockType, allocate_lock, start_new_thread  # as they are: a handler may put others into `threading`
from queue import SimpleQueue
from typing import Any, Callable, List, Optional, TextIO, Tuple, Union

from kafka_worker.shared.output import streams
from kafka_worker.shared.system import forks

MOST_WAITING = 500  # pieces that wait to be written
LONGEST_PIECE = 16_384  # bytes, so that no more than 8 MB wait
PATIENCE_SECONDS = 0.25  # for which a call waits for its line to be written, while nobody is known to be stuck
TELL_SECONDS = 1.0  # between two words about what is missing, where more and more is
ATOMIC = select.PIPE_BUF  # bytes that are written to a pipe in one piece, whoever else writes
STANDARD = 3  # descriptors below it have a meaning of their own
NOWHERE = -1  # no descriptor

_Waiting = Tuple[bytes, Optional[LockType]]  # what is to be written, and what to release then


class LogWriter:
    """Writes to one descriptor. Any thread may call it, finalizers and forked copies too."""

    def __init__(self, descriptor: int, notice: Callable[[int], bytes]) -> None:
        """`notice` says that so many lines are missing."""
        # A handler may lead that number to somewhere else, and close whatever it does not know: we go by the place.
        self._numbers = (fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, STANDARD), descriptor)
        self._place = streams.place(descriptor)
        self._notice = notice
        self._waiting: SimpleQueue[Optional[_Waiting]] = SimpleQueue()
        self._drops = itertools.count(1)
        self._stuck = False  # somebody has waited in vain, and the thread has not caught up since
        self.dropped = 0  # all in all
        self.told = 0  # of these: that they are missing is written, too
        self._next_word = 0.0  # when that may be told again in the midst of others (monotonic seconds)
        # None that `threading` knows: gevent's patching in the midst of an import, in a task process, can't have another.
        start_new_thread(self._run, ())

    def put(self, lines: bytes) -> None:
        """To be written, or dropped when too much waits already."""
        if forks.copied:  # it has no thread of ours, and waits for nobody but itself
            self._write(lines)
            return
        for start in range(0, len(lines), LONGEST_PIECE):
            self._put(lines[start : start + LONGEST_PIECE])

    def flush(self, seconds: float) -> None:
        """Until all that was put is written, or the time is over."""
        if not forks.copied:
            self._wait(b"", seconds)

    def stream(self, given: TextIO) -> TextIO:
        """A text stream in place of the given one, which writes by this."""
        sink: Any = _Sink(self, given)
        return io.TextIOWrapper(sink, encoding=given.encoding, errors="backslashreplace", line_buffering=True)

    def close(self) -> None:
        """Write what waits, and nothing more."""
        self._waiting.put(None)

    def _put(self, piece: bytes) -> None:
        if not self._stuck:
            self._stuck = not self._wait(piece, PATIENCE_SECONDS)
        elif self._waiting.qsize() < MOST_WAITING:
            self._waiting.put((piece, None))
        else:
            self._drop()

    def _wait(self, piece: bytes, seconds: float) -> bool:
        written = allocate_lock()
        written.acquire()
        self._waiting.put((piece, written))
        return written.acquire(timeout=seconds)

    def _drop(self) -> None:
        self.dropped = next(self._drops)

    # ---- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        # With `stty tostop` a terminal sends it to who writes in the background, again and again, and takes nothing.
        # And by SIGABRT the main thread is asked for its stack: where the process was stopped, any thread may take that.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU, signal.SIGABRT])
        for piece, written in iter(self._waiting.get, None):
            if not piece or self._write(piece):
                self._tell()
            else:
                self._drop()
            if self._waiting.empty():
                self._stuck = False
            if written is not None:
                written.release()
        os.close(self._numbers[0])

    def _tell(self) -> None:
        """What is missing: when all is written, or in the midst of it now and then, where it never comes to that."""
        dropped, now = self.dropped, time.monotonic()
        if dropped == self.told or not (self._waiting.empty() or now >= self._next_word):
            return
        self._next_word = now + TELL_SECONDS
        if self._write(self._notice(dropped - self.told)):
            self.told = dropped

    def _write(self, lines: bytes) -> bool:
        """Whether they are written, however long that takes."""
        try:
            for piece in _atomic(lines):
                self._write_piece(self._number(), piece)
        except Exception:  # nobody reads it any more, the disk or the memory is full, or a handler has closed what was ours
            return False
        return True

    def _number(self) -> int:
        """A descriptor that leads to where the given one did; NOWHERE when none does any more."""
        return next((number for number in self._numbers if streams.place(number) == self._place), NOWHERE)

    @staticmethod
    def _write_piece(number: int, piece: bytes) -> None:
        while piece:
            try:
                piece = piece[os.write(number, piece) :]
            except BlockingIOError:  # somebody who shares it has made it so
                room = select.poll()
                room.register(number, select.POLLOUT)
                room.poll()


def _atomic(lines: bytes) -> List[bytes]:
    """Whole lines, as many as are never mixed with those of other processes; a longer line is cut."""
    pieces = []
    while len(lines) > ATOMIC:
        end = lines.rfind(b"\n", 0, ATOMIC) + 1 or ATOMIC
        pieces.append(lines[:end])
        lines = lines[end:]
    return [*pieces, lines]


class _Sink(io.RawIOBase):
    """What is below a text stream."""

    def __init__(self, writer: LogWriter, given: TextIO) -> None:
        self._writer = writer
        self._given = given

    def writable(self) -> bool:
        return True

    def write(self, data: Union[bytes, bytearray, memoryview]) -> int:  # type: ignore[override]
        lines = bytes(data)
        self._writer.put(lines)
        return len(lines)

    def fileno(self) -> int:
        """For who starts programs: those write by themselves."""
        return self._given.fileno()

    def isatty(self) -> bool:
        return self._given.isatty()
