"""Pure: who else used the machine meanwhile. A measurement in which others did is made again, and what is kept is the
quietest: the choice looks at the others' CPU time only, never at the result."""

from __future__ import annotations

from typing import Callable, Dict, NamedTuple

PROGRAMS = (0, 1, 2, 7)  # user, nice, system, steal: not idle, and not interrupts, which nobody is charged for


class Moment(NamedTuple):
    """What was used until then."""

    at: float
    machine: float  # CPU seconds, of all programs on all cores
    ours: float  # of what is measured, the broker, and the bench

    def others(self, later: Moment) -> float:
        """How many cores everybody else used, on average, from this moment to a later one."""
        used = (later.machine - self.machine) - (later.ours - self.ours)
        return max(0.0, used / (later.at - self.at))


class Measured(NamedTuple):
    """What one measurement brought."""

    values: Dict[str, float]
    others: float  # cores


class Gated(NamedTuple):
    """The quietest of some measurements."""

    measured: Measured
    tries: int
    quiet: bool  # false: even it was not


def machine_seconds(stat: str, ticks: int) -> float:
    """CPU seconds of all programs, by the text of /proc/stat and the ticks of a second."""
    fields = stat.split("\n", 1)[0].split()[1:]
    return sum(int(fields[place]) for place in PROGRAMS if place < len(fields)) / ticks


def gated(measure: Callable[[], Measured], limit: float, most: int) -> Gated:
    """Measure until others use no more than `limit` cores, `most` times at most."""
    tries = [measure()]
    while tries[-1].others > limit and len(tries) < most:
        tries.append(measure())
    best = min(tries, key=lambda measured: measured.others)
    return Gated(best, len(tries), best.others <= limit)
