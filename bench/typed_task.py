"""The same for messages that are decoded into a msgspec Struct."""

from __future__ import annotations

import msgspec

from bench.peers.task import Task

DONE = Task.from_environment().marks.done


class Numbered(msgspec.Struct):
    """What is in a message."""

    id: int
    kind: str
    ok: bool
    text: str


def work(message: Numbered) -> None:
    """There is nothing to do."""
    DONE[message.id] = 1
