"""The clock of a worker that is tested: it goes as any does, and can be turned forward."""

from __future__ import annotations

import time


class TurnedClock:
    """Monotonic seconds, and whatever it was turned. Any thread may look."""

    def __init__(self) -> None:
        """Not turned yet."""
        self._true = time.monotonic  # as it is now: libraries that freeze time put another one there
        self._ahead = 0.0

    def __call__(self) -> float:
        """What it shows."""
        return self._true() + self._ahead

    def wall(self) -> float:
        """Seconds since 1970, as far ahead."""
        return time.time() + self._ahead

    def true(self) -> float:
        """What it would show if nobody had turned it."""
        return self._true()

    def turn_to(self, seconds: float) -> None:
        """Show at least this from now on."""
        self._ahead += max(0.0, seconds - self())
