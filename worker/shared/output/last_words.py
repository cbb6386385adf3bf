"""What a process leaves behind when it is killed by a fault: the stacks that its faulthandler writes. Into memory that whoever
started it has, too: there may be nowhere to write to, and nobody who reads standard error."""

from __future__ import annotations

import contextlib
import faulthandler
import os
from typing import List

from kafka_worker.shared.output import streams

LONGEST = 1 << 20  # bytes read of them
_THERE: List[int] = []  # the descriptor of this process's own
HEAD, TAIL = 2000, 6000  # characters kept: what happened, and the main thread, which comes last


class LastWords:
    """The file, from the side of whoever starts the process, which has to inherit it."""

    def __init__(self) -> None:
        """Empty. Raises OSError when the machine has no room for it."""
        self._file = streams.in_memory()

    def fileno(self) -> int:
        """For the process's faulthandler."""
        return self._file.fileno()

    def read(self) -> str:
        """The stacks without the list of extension modules behind them, and without the middle where there are many threads;
        empty: it left none."""
        words = os.pread(self.fileno(), LONGEST, 0).decode(errors="replace")
        stacks = words.partition("\nExtension modules:")[0].strip()
        return stacks if len(stacks) <= HEAD + TAIL else f"{stacks[:HEAD]}\n...\n{stacks[-TAIL:]}"

    def close(self) -> None:
        """Forget it."""
        self._file.close()


def write_last_words_to(descriptor: int) -> None:
    """From the side of the process itself. Those of a copy, as a handler makes by forking, are not ours."""
    _THERE[:] = [descriptor]
    faulthandler.enable(file=descriptor)
    os.set_inheritable(descriptor, False)
    os.register_at_fork(after_in_child=lambda: os.dup2(2, descriptor, inheritable=False))


def keep() -> None:
    """Still there, whatever a handler has done with faulthandler, or with the signals that it takes. Cheap."""
    for descriptor in _THERE:
        with contextlib.suppress(Exception):  # it is closed
            faulthandler.disable()  # else it would not notice that a signal was taken from it
            faulthandler.enable(file=descriptor)
