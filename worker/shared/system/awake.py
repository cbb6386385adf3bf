"""Time that counts only while this process itself was awake. Pure.

After a SIGSTOP, a paused virtual machine or a frozen container, everybody we watch seems to have been silent
for as long as we were away. Ages measured in awake seconds do not grow meanwhile, so waking up kills nobody.
"""

from __future__ import annotations


class AwakeClock:
    """Advances with the clock, by no more than `longest` seconds between two looks."""

    def __init__(self, now: float, longest: float = 1.0) -> None:
        """`longest`: the loop never sleeps longer than this by its own will."""
        self._last = now
        self._longest = longest
        self.seconds = 0.0

    def tick(self, now: float) -> float:
        """Take note that we are awake at `now` (monotonic seconds); the awake seconds so far."""
        self.seconds += min(self._longest, max(0.0, now - self._last))
        self._last = now
        return self.seconds
