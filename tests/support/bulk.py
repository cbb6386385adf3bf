"""A handler for very many messages, and what it notes of them: a few bytes an event, where the ledger writes a line. A message
is a number that says what becomes of it: QUICK, WAIT (for hours, until its next attempt) or BLOCK (until the gate is opened).
"""

from __future__ import annotations

import functools
import os
import struct
from pathlib import Path
from typing import Any, List, NamedTuple, Tuple

from kafka_worker.shared.foreign.answers import Retry
from tests.support.eventually import eventually

QUICK, WAIT, BLOCK = 0, 1, 2
HOURS = 7200.0
GATE_SECONDS = 100.0
START, END = 1, 2
_EVENT = struct.Struct("<Bq")  # start or end, offset


class Bulk:
    """What happened to the messages of one partition; the test's side of it."""

    size = _EVENT.size  # bytes of an event

    def __init__(self, path: str) -> None:
        """Nothing has happened. The handler is told the path by the variable BULK."""
        self.path = path
        Path(path).touch()

    def mark(self) -> int:
        """This moment, for `since`."""
        return os.stat(self.path).st_size

    def since(self, mark: int = 0) -> Events:
        """What has happened since then."""
        with open(self.path, "rb") as file:
            file.seek(mark)
            noted = file.read()
        events = list(_EVENT.iter_unpack(noted[: len(noted) // _EVENT.size * _EVENT.size]))  # the last may be half written
        return Events(*([offset for kind, offset in events if kind == wanted] for wanted in (START, END)))

    def open_gate(self) -> None:
        """Let the blocked ones go, now and later."""
        Path(self.path + ".gate").touch()


class Events(NamedTuple):
    """Offsets, as often as it happened to them."""

    started: List[int]
    ended: List[int]


def ranges_of(offsets: List[int]) -> List[Tuple[int, int]]:
    """Ascending offsets as ranges."""
    ranges: List[Tuple[int, int]] = []
    for offset in offsets:
        if ranges and ranges[-1][1] == offset:
            ranges[-1] = (ranges[-1][0], offset + 1)
        else:
            ranges.append((offset, offset + 1))
    return ranges


def sieve(message: int, context: Any) -> None:
    """The handler."""
    path = os.environ["BULK"]
    descriptor = _opened(path)
    os.write(descriptor, _EVENT.pack(START, context.offset))
    if message == WAIT:
        raise Retry("not for hours", after=HOURS)
    if message == BLOCK:
        eventually(lambda: os.path.exists(path + ".gate"), GATE_SECONDS, "the gate is opened")
    os.write(descriptor, _EVENT.pack(END, context.offset))


@functools.lru_cache(maxsize=None)
def _opened(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
