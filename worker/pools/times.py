"""How long something took, each time: calls of handlers, and what messages have waited before their first one. Pure."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, Dict, List

from kafka_worker.shared.ipc.snapshot import BOUNDS


class Times:
    """Of one topic. Written by one thread, read by anybody."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        """Nothing took any time yet."""
        self.counts: List[int] = [0] * (len(BOUNDS) + 1)  # by the buckets of BOUNDS
        self.seconds = 0.0

    def add(self, seconds: float, times: int = 1) -> None:
        """It took `seconds`, `times` times."""
        self.counts[bisect_left(BOUNDS, seconds)] += times
        self.seconds += seconds * times


class TimesByTopic(Dict[str, Times]):
    """Those of each topic."""

    def __missing__(self, topic: str) -> Times:
        """A topic of which nothing was counted yet."""
        times = self[topic] = Times()
        return times


def produced_at(message: Any) -> float:
    """In seconds since 1970, by its timestamp; 0: it has none."""
    kind, milliseconds = message.timestamp()
    return float(milliseconds / 1000) if kind else 0.0
