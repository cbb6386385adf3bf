"""Which slots the supervisor looks at in a turn of its loop: those where something was said, and now and then all. So
processes cost as much as they say, and one that speaks does not cost a look at all others."""

from __future__ import annotations

import math
import selectors
from typing import AbstractSet

from kafka_worker.supervision.slots.slot import Slot

EVERYBODY_SECONDS = 0.5


class SlotSelector:
    """The loop's: `turn`, then `selects` of each slot, then `wait`."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        """The first turn looks at everybody."""
        self._selector = selector
        self._speaking: AbstractSet[object] = frozenset()
        self._due = -math.inf
        self._everybody_at = -math.inf
        self.everybody = True

    def turn(self, now: float, *, ended: bool) -> None:
        """A turn begins. `ended`: a process may have."""
        self.everybody = ended or now >= self._due
        if self.everybody:
            self._everybody_at = now + EVERYBODY_SECONDS

    def selects(self, slot: Slot) -> bool:
        """Whether the slot is to be tended in this turn."""
        return self.everybody or any(child.channel in self._speaking for child in (slot.child, slot.successor) if child)

    def wait(self, now: float, patience: float) -> None:
        """Wait until somebody speaks, or something is due in `patience` seconds: then the next turn looks at everybody."""
        wait = max(0.0, min(self._everybody_at - now, patience))
        self._due = now + wait
        self._speaking = {key.fileobj for key, _ in self._selector.select(wait)}
