"""How one assignment of a partition ends: which of its tasks are still started, until when results count, and up to where it
will be done. Pure. The consumer thread writes, handler threads read."""

from __future__ import annotations

import math
from typing import Optional

from kafka_worker.partitions.tracker import Tracker


class Closing:
    """The end of one assignment. Handler threads read its fields directly for each message: a call would cost a tenth of all
    that the pool does."""

    __slots__ = ("_tracker", "abandoned_from", "closed", "deadline", "forgotten", "frontier")

    def __init__(self, tracker: Tracker) -> None:
        """Not ending. `tracker` knows what is done."""
        self._tracker = tracker
        self.closed = False  # start no more of its tasks, from `frontier` on
        self.frontier = -1  # below it, tasks of a closed partition are still started
        self.deadline: Optional[float] = None  # monotonic seconds: until when results count, once closed
        self.forgotten = False  # results no longer count
        self.abandoned_from = math.inf  # the lowest offset that will never be done, once closed: a gap nobody can fill

    def close(self, deadline: Optional[float]) -> None:
        """Start no more tasks, except those that lie between what is done already; these and what runs have until `deadline`
        (monotonic seconds)."""
        self.deadline = deadline
        self.closed = True

    def forget(self) -> None:
        """The partition is no longer ours: whatever still runs is dropped when it ends."""
        self.closed = True
        self.frontier = -1
        self.forgotten = True

    def abandon(self, offset: int) -> None:
        """The task there will never be done: nobody waits for it, and nothing is committed past it."""
        self.abandoned_from = min(self.abandoned_from, offset)

    def settled(self, highest_running: int) -> bool:
        """Whether a closed partition is as done as it will be: nothing runs, and nothing below what is done is left open.
        `highest_running` is the highest offset that runs now, -1 for none. Moves the frontier up to what is done or runs, but
        never beyond a gap: nothing is committed past that, so nothing more is started there."""
        demanded = max(self.frontier, self._tracker.frontier(), highest_running + 1 if highest_running >= 0 else -1)
        self.frontier = int(min(demanded, self.abandoned_from))
        return highest_running < 0 and self._tracker.watermark() >= min(self.frontier, self.abandoned_from)
