"""What a process leaves behind when it ends: what of the user's it was at, or why it gave up, and the stacks that its
faulthandler writes when it is killed by a fault. Into memory that whoever started it has, too: there may be nowhere to write
to, nobody who reads standard error, and no moment for a word (`os._exit`, SIGKILL)."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import threading
from typing import Dict, Iterator, List

from kafka_worker.shared.output import streams

LONGEST = 1 << 20  # bytes read of them
MAKING_CLIENT = "making a Kafka client"  # which aborts where it gets no thread
NOTE = 1 << 10  # bytes in front of them, for what it is at
_THERE: List[int] = []  # the descriptor of this process's own
_AT: Dict[int, str] = {}  # what each of its threads is at
_WHY: List[str] = []  # it gives up
_lock, _ident = threading.Lock(), threading.get_ident  # a handler may replace what gives them
HEAD, TAIL = 2000, 6000  # characters kept: what happened, and the main thread, which comes last


class LastWords:
    """The file, from the side of whoever starts the process, which has to inherit it."""

    def __init__(self) -> None:
        """Empty. Raises OSError when the machine has no room for it."""
        self._file = streams.in_memory()
        self._file.seek(NOTE)  # where its faulthandler goes on

    def fileno(self) -> int:
        """For the process's faulthandler."""
        return self._file.fileno()

    def read(self) -> str:
        """The stacks without the list of extension modules behind them, and without the middle where there are many threads;
        empty: it left none."""
        words = os.pread(self.fileno(), LONGEST, NOTE).decode(errors="replace")
        stacks = words.partition("\nExtension modules:")[0].strip()
        return stacks if len(stacks) <= HEAD + TAIL else f"{stacks[:HEAD]}\n...\n{stacks[-TAIL:]}"

    def how(self, ended: str) -> str:
        """How it `ended`, and with that what it has noted of itself."""
        return ended + os.pread(self.fileno(), NOTE, 0).rstrip(b"\0").decode(errors="ignore")

    def close(self) -> None:
        """Forget it."""
        self._file.close()


def write_last_words_to(descriptor: int) -> None:
    """From the side of the process itself. Those of a copy, as a handler makes by forking, are not ours."""

    def give_up() -> None:
        _THERE.clear()  # else notes would be written over what stands in standard error
        os.dup2(2, descriptor, inheritable=False)

    _THERE[:] = [descriptor]
    faulthandler.enable(file=descriptor)
    os.set_inheritable(descriptor, False)
    os.register_at_fork(after_in_child=give_up)


@contextlib.contextmanager
def while_(what: str) -> Iterator[None]:
    """Leave behind that this was done, should the process end meanwhile: the user's code is called, which may do that."""
    before = _AT.get(_ident(), "")
    _at(what)
    try:
        yield
    finally:
        _at(before)


def because(why: str) -> None:
    """Leave this behind: the process gives up."""
    _WHY.append(f": {why}")
    _at(_AT.get(_ident(), ""))


def _at(what: str) -> None:
    with _lock:
        _AT[_ident()] = what
        if not what:
            del _AT[_ident()]
        now = ", ".join(dict.fromkeys(_AT.values()))
        text = "".join([*_WHY[:1], f", while {now}" if now else ""])
        for descriptor in _THERE:
            with contextlib.suppress(OSError):  # a handler has closed it
                os.pwrite(descriptor, text.encode(errors="replace")[:NOTE].ljust(NOTE, b"\0"), 0)


def keep() -> None:
    """Still there, whatever a handler has done with faulthandler, or with the signals that it takes. Cheap."""
    for descriptor in _THERE:
        with contextlib.suppress(Exception):  # it is closed
            faulthandler.disable()  # else it would not notice that a signal was taken from it
            faulthandler.enable(file=descriptor)
