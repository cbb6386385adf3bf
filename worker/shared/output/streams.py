"""Standard input, output and error, as whoever started us has left them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from typing import IO, Callable, Iterator, List, Optional, Tuple

from kafka_worker import start
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.foreign.texts import escaped

NAMES = ("standard input", "standard output", "standard error")


def prepare() -> List[str]:
    """Make the three usable, once, before anything is opened; the names of those that were closed. A terminal that can't show
    a character gets it escaped."""
    closed = reopen()
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8")  # noqa: SIM115 (for as long as the process lives)
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a test's may not have it
            stream.reconfigure(errors="backslashreplace")
    return closed


def reopen() -> List[str]:
    """Those of the three that were closed, which lead to nowhere from now on: else the next file that is opened (a lock, a
    socket) would get its number, and what is printed."""
    closed = []
    for number, name in enumerate(NAMES):
        try:
            os.fstat(number)
        except OSError:
            closed.append(name)
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, number)
            if nowhere != number:
                os.close(nowhere)
            os.set_inheritable(number, True)  # dup2 has not made it so where it had nothing to do
    return closed


def place(number: int) -> Optional[Tuple[int, int]]:
    """What a descriptor leads to; None: it is closed."""
    try:
        status = os.fstat(number)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_journal(stream: Optional[str]) -> bool:
    """Whether standard error is the one that systemd calls this (JOURNAL_STREAM, which whatever is started from a service
    inherits, a terminal too)."""
    status = os.fstat(2)
    return stream == f"{status.st_dev}:{status.st_ino}"


def in_memory() -> IO[bytes]:
    """A file that is nowhere on a disk, for what one process says to another: there may be nowhere to write to."""
    if hasattr(os, "memfd_create"):  # Linux
        return os.fdopen(os.memfd_create("words"), "r+b", buffering=0)
    import tempfile  # here, because it brings all that makes archives

    return tempfile.TemporaryFile(buffering=0)


def silence(number: int = 1) -> None:
    """Standard output (2: error) leads to nowhere from now on: whoever read it has seen enough, or it takes nothing more. What
    is left to be printed would fail once more, at the very end, and with an exit code of its own."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


def has_room(seconds: float) -> bool:
    """Whether standard output takes a line, within the time, without waiting for who reads it."""
    room = select.poll()
    room.register(1, select.POLLOUT)
    return bool(room.poll(seconds * 1000))


@contextlib.contextmanager
def _until_nobody_reads() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        silence()


def show(text: str, out: Optional[IO[str]] = None) -> None:
    """Print it on standard output, and have it written. That nobody reads is no fault."""
    with _until_nobody_reads():
        print(text, file=out, flush=True)


def tell(*lines: str) -> None:
    """Say what was asked, on standard output; what is there is written at the end. That nobody reads is no fault. Names of
    topics, and more, are strangers' words."""
    with _until_nobody_reads():
        print(*map(escaped, lines), sep="\n")


def complain(*lines: str) -> None:
    """Tell what is wrong, or how far it is: not on standard output, which is for what was asked. That nobody reads it ends
    nothing in the middle, and is no other exit code."""
    try:
        print(*map(escaped, lines), sep="\n", file=sys.stderr, flush=True)
    except OSError:
        silence(2)


def guarded(command: Callable[[List[str]], int]) -> int:
    """The exit code of a command that prints; it is told what was closed. That nobody reads changes nothing of it. A fault of
    ours, or of what we print to, has an exit code that says nothing else."""
    try:
        code = command(prepare())
        with _until_nobody_reads():
            sys.stdout.flush()
    except KeyboardInterrupt:
        complain("Interrupted")
        return 128 + signal.SIGINT
    except Exception as problem:
        if start.explained(problem):
            return ExitCode.CONFIGURATION
        import traceback  # here, because they are never needed

        from kafka_worker.shared.system import room

        if isinstance(problem, OSError) or room.NO_THREAD in str(problem):
            complain(f"It can't be done: {problem}{room.lack_of_threads(1)}")
            silence()
        else:
            complain(*traceback.format_exc().splitlines())
    else:
        return code
    return ExitCode.FAULT
