"""What a circuit breaker remembers of the calls that ended: those of the last so many seconds, or the last so many. Pure."""

from __future__ import annotations

from collections import deque
from typing import Deque, List, Tuple, Union

PIECES = 20  # a window of time moves on by such a part of itself: it forgets nothing sooner, and needs no room for each call


class TimeWindow:
    """The calls that ended in the last so many seconds."""

    def __init__(self, seconds: float, min_calls: int) -> None:
        """Fewer calls than `min_calls` say nothing."""
        self._seconds = seconds
        self._min_calls = min_calls
        self._pieces: Deque[List[float]] = deque()  # [since, good, bad]

    def add(self, good: int, bad: int, now: float) -> None:
        """So many more succeeded, and failed, at `now` (monotonic seconds)."""
        if not self._pieces or now - self._pieces[-1][0] >= self._seconds / PIECES:
            self._pieces.append([now, 0, 0])
            self._forget(now)
        self._pieces[-1][1] += good
        self._pieces[-1][2] += bad

    def counts(self, now: float) -> Tuple[int, int]:
        """The calls in the pieces that are young enough, and how many of them failed."""
        self._forget(now)
        bad = int(sum(piece[2] for piece in self._pieces))
        return int(sum(piece[1] for piece in self._pieces)) + bad, bad

    def reached(self, share: float, now: float) -> bool:
        """Whether so large a share failed, of enough calls to say anything."""
        calls, bad = self.counts(now)
        return calls >= self._min_calls and bad >= share * calls

    def clear(self) -> None:
        """No calls."""
        self._pieces.clear()

    def _forget(self, now: float) -> None:
        while self._pieces and now - self._pieces[0][0] > self._seconds * (1 + 1 / PIECES):
            self._pieces.popleft()


class CountWindow:
    """The last so many calls, at whatever time they ended."""

    def __init__(self, size: int) -> None:
        """`size` calls are remembered."""
        self._size = size
        self._runs: Deque[List[int]] = deque()  # [good, bad] of neighbours, the oldest first; one of the two is 0
        self._calls = 0
        self._bad = 0

    def add(self, good: int, bad: int, now: float) -> None:  # noqa: ARG002 (time does not matter here)
        """The good ones first: their order within a turn of the loop is not known."""
        self._runs.extend(run for run in ([good, 0], [0, bad]) if any(run))
        self._calls += good + bad
        self._bad += bad
        while self._calls > self._size:
            self._cut(self._runs[0], self._calls - self._size)

    def counts(self, now: float) -> Tuple[int, int]:  # noqa: ARG002
        """The calls that are remembered, and how many of them failed."""
        return self._calls, self._bad

    def reached(self, share: float, now: float) -> bool:  # noqa: ARG002
        """Whether the share of failures among `size` calls is reached: those that there were not yet count as good."""
        return self._bad >= share * self._size

    def clear(self) -> None:
        """No calls."""
        self._runs.clear()
        self._calls = self._bad = 0

    def _cut(self, oldest: List[int], surplus: int) -> None:
        side = 0 if oldest[0] else 1
        cut = min(surplus, oldest[side])
        oldest[side] -= cut
        self._calls -= cut
        self._bad -= cut * side
        if not oldest[side]:
            self._runs.popleft()


Window = Union[TimeWindow, CountWindow]
