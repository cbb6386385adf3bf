"""What is measured of a process and its calls, and what that says while no call ends. Pure."""

from __future__ import annotations

from typing import NamedTuple, Optional

STALL_SECONDS = 0.4  # in which no call ends: one look after the last, at the pace of heartbeats


class Sample(NamedTuple):
    """Counters of the process at one moment. What is measured in sums only grows, but for the ages of what runs."""

    at: float  # monotonic seconds
    ended: int  # calls, whatever their outcome
    ended_seconds: float  # that those took, together
    cpu_seconds: float  # of the whole process
    wanted_seconds: float  # the same, and what its threads that run now have waited for a core
    ages: float  # seconds for which the calls that run now have been running, together
    running: int  # calls
    waiting: bool  # whether there are tasks that could run if there were threads

    def cores_since(self, before: Sample) -> float:
        """How many cores it has used since then, or would have if the machine had let it: a busy neighbour must not make work
        that computes look like work that waits."""
        cpu, wanted = self.cpu_seconds - before.cpu_seconds, self.wanted_seconds - before.wanted_seconds
        return max(cpu, wanted) / max(1e-9, self.at - before.at)


class Stall:
    """All threads are held by calls that go on and on, while tasks wait."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._since: Optional[Sample] = None
        self._last: Optional[Sample] = None

    def cores(self, sample: Sample, threads: int) -> Optional[float]:
        """Take a sample, with so many threads. The cores that the calls want, as far as they have come; None: there is no
        stall. The most of now and of all the time: a call may wait first and compute then, or the other way round."""
        last, self._last = self._last, sample
        if not sample.waiting or sample.running < threads:
            self._since = None
            return None
        if self._since is None or last is None or sample.ended != self._since.ended:
            self._since = sample
            return None
        if sample.at - self._since.at < STALL_SECONDS:
            return None
        return max(sample.cores_since(self._since), sample.cores_since(last))

    def begin(self, sample: Sample) -> None:
        """There are more threads from now on: what was seen before says nothing of those."""
        self._since = sample
