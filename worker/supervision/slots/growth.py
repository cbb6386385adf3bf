"""How soon processes of one slot outgrow their share of MEMORY_LIMIT, one after the other. Pure.

Recycling a process for memory helps if its growth took long: the next one has as long. If each new one is as large within
minutes, that is told once, and they are recycled ever more seldom. Not so as to be in the others' way: a process that waits
for it may take what they leave free.
"""

from __future__ import annotations

from kafka_worker.shared.ipc.snapshot import ChildReport

SOON_SECONDS = 600.0  # after its start
OFTEN = 3  # such processes, one after the other, of which each was recycled at once
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 60.0, 3600.0  # until the next one is; doubles with each


class Growth:
    """That of one slot."""

    def __init__(self) -> None:
        """None has outgrown its share yet."""
        self._pid = 0  # of the last that has
        self._times = 0
        self._seconds = 0.0
        self._pause = PAUSE_SECONDS
        self._not_before = 0.0

    def weigh(self, report: ChildReport, age: float, share: int) -> bool:
        """Weigh its process, of this age in seconds; whether it is to be told now that each does. `share`: in bytes."""
        if report.pid == self._pid or report.oversized:  # who was too large from the start is not recycled for it
            return False
        if report.rss <= share:
            if age >= SOON_SECONDS:  # this one does not
                self._times, self._pause, self._not_before = 0, PAUSE_SECONDS, 0.0
            return False
        self._pid, self._seconds = report.pid, age
        self._times = self._times + 1 if age < SOON_SECONDS else 0
        return self._times == OFTEN

    @property
    def within(self) -> float:
        """Within how many seconds the last one has, as each before it; -1: they do not."""
        return self._seconds if self._times >= OFTEN else -1.0

    def waits(self, now: float) -> bool:
        """Whether its process is not recycled yet."""
        return now < self._not_before

    def recycled(self, now: float) -> None:
        """It is being recycled."""
        if self._times >= OFTEN:
            self._not_before = now + self._pause
            self._pause = min(LONGEST_PAUSE_SECONDS, 2 * self._pause)
