"""The supervisor's loop looks at who speaks, and at everybody when something is due: its work grows with what is said, and not
with the square of its processes."""

from __future__ import annotations

import selectors
import socket
from types import SimpleNamespace
from typing import Any, Iterator, List

import pytest

from kafka_worker.supervision.slots.slot_selector import EVERYBODY_SECONDS, SlotSelector


class Crowd:
    """Processes that speak when a test wants it."""

    def __init__(self, selector: selectors.BaseSelector, size: int) -> None:
        pairs = [socket.socketpair() for _ in range(size)]
        self.ends = [theirs for _, theirs in pairs]
        self.slots: List[Any] = [SimpleNamespace(child=SimpleNamespace(channel=ours), successor=None) for ours, _ in pairs]
        for ours, _ in pairs:
            selector.register(ours, selectors.EVENT_READ)
        self.slot_selector = SlotSelector(selector)
        self.selector = selector

    def wanted(self, now: float, *, ended: bool = False) -> List[int]:
        """Of which slots, in a turn that begins now."""
        self.slot_selector.turn(now, ended=ended)
        return [number for number, slot in enumerate(self.slots) if self.slot_selector.selects(slot)]

    def close(self) -> None:
        for slot, end in zip(self.slots, self.ends):
            slot.child.channel.close()
            end.close()
        self.selector.close()


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    made = Crowd(selectors.DefaultSelector(), 4)
    assert made.wanted(100.0) == [0, 1, 2, 3], "at first everybody"
    yield made
    made.close()


def test_who_speaks_is_looked_at_and_nobody_else(crowd: Crowd) -> None:
    crowd.ends[2].send(b"x")
    crowd.slot_selector.wait(100.0, 60.0)

    assert crowd.wanted(100.1) == [2]


def test_when_something_is_due_or_a_process_has_ended_everybody_is(crowd: Crowd) -> None:
    crowd.ends[2].send(b"x")
    crowd.slot_selector.wait(100.0, 0.2)

    assert crowd.wanted(100.1) == [2]
    assert crowd.wanted(100.1, ended=True) == [0, 1, 2, 3]
    assert crowd.wanted(100.2) == [0, 1, 2, 3]


def test_however_much_is_said_everybody_is_looked_at_twice_a_second(crowd: Crowd) -> None:
    crowd.ends[2].send(b"x")  # which nobody reads
    turns = []
    for turn in range(20):
        now = 100.0 + turn * EVERYBODY_SECONDS / 10
        turns.append(crowd.wanted(now) == [0, 1, 2, 3])
        crowd.slot_selector.wait(now, 60.0)

    assert turns == [turn % 10 == 0 for turn in range(20)]
