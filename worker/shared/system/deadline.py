"""A point in monotonic time that several steps share, so that a sequence of waits can't add up to more than was promised."""

from __future__ import annotations

import time
from typing import Callable

Clock = Callable[[], float]


class Deadline:
    """`Deadline(30)` is thirty seconds from now; `Deadline(0)` is over at once."""

    def __init__(self, seconds: float, clock: Clock = time.monotonic) -> None:
        """Start now; `clock` gives monotonic seconds."""
        self._clock = clock
        self._ends = [clock() + seconds]

    @property
    def at(self) -> float:
        """The point in time, in monotonic seconds."""
        return min(self._ends)

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - self._clock())

    def expired(self) -> bool:
        """Whether nothing is left."""
        return self._clock() >= self.at

    def hurry(self, seconds: float) -> None:
        """Bring the deadline forward to at most `seconds` from now; it never moves back. Any thread: two may do so at once."""
        self._ends.append(self._clock() + seconds)
