"""What the charts of the last hour are drawn from: a few sums, every five seconds. Pure. It is kept in memory, and begins anew
with the process: what has to last longer is a matter for Prometheus."""

from __future__ import annotations

from collections import deque
from typing import Any, Deque, Dict, List, NamedTuple, Optional, Sequence, Tuple

from kafka_worker.shared.ipc.snapshot import HANDLER_SECONDS, ChildReport, Snapshot

STEP_SECONDS = 5.0
KEPT_SECONDS = 3600.0
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Point(NamedTuple):
    """The time since the point before, in a few numbers. None: not known."""

    at: float  # unix time of its end
    done_per_second: Optional[float]
    failed_per_second: Optional[float]
    lag_messages: int
    lag_seconds: Optional[float]
    utilization: Optional[float]  # share of the handler threads' time that was spent in handlers
    calls: Tuple[int, ...]  # that ended meanwhile, by the buckets of HANDLER_SECONDS


class History:
    """The points of the last hour."""

    def __init__(self) -> None:
        """No point yet."""
        self._points: Deque[Point] = deque(maxlen=int(KEPT_SECONDS / STEP_SECONDS))
        self._before: Dict[int, ChildReport] = {}  # by pid
        self._at = float("-inf")

    def due(self, now: float) -> bool:
        """Whether it is time for the next point (in monotonic seconds)."""
        return now >= self._at + STEP_SECONDS

    def add(self, snapshot: Snapshot, now: float, unix_time: float) -> None:
        """A point of what has happened since the one before."""
        seconds = now - self._at
        children = {slot.pid: slot.child for slot in snapshot.slots if slot.child and slot.pid}
        since = None if seconds > 2 * STEP_SECONDS else _Since(self._before, children, seconds)
        partitions = [partition for child in children.values() for partition in child.partitions]
        known = [each.lag_seconds for each in partitions if each.lag_seconds >= 0]
        self._points.append(
            Point(
                at=round(unix_time, 3),
                done_per_second=since.rate("done") if since else None,
                failed_per_second=since.rate("failed") if since else None,
                lag_messages=sum(max(0, each.lag) for each in partitions),
                lag_seconds=max(known) if known else None,
                utilization=since.utilization() if since else None,
                calls=since.calls() if since else (0,) * (len(HANDLER_SECONDS) + 1),
            )
        )
        self._before, self._at = children, now

    def as_json(self) -> Dict[str, Any]:
        """A list for each number, as charts want it, the newest last; and what the latencies were."""
        points = list(self._points)
        columns: Dict[str, Any] = {name: [getattr(point, name) for point in points] for name in Point._fields}
        for name, share in SHARES.items():
            columns[name] = [quantile(point.calls, share) for point in points]
        return {"step_seconds": STEP_SECONDS, "bounds": list(HANDLER_SECONDS), **columns}


class _Since:
    """What processes have done between two reports. One that is new has done all of it meanwhile."""

    def __init__(self, before: Dict[int, ChildReport], now: Dict[int, ChildReport], seconds: float) -> None:
        self._pairs = [(before.get(pid), child) for pid, child in now.items()]
        self._seconds = seconds

    def rate(self, name: str) -> float:
        return round(self._sum(name) / self._seconds, 3)

    def utilization(self) -> float:
        could = self._seconds * sum(child.threads for _, child in self._pairs)
        return round(min(1.0, self._sum("busy_seconds") / could), 4) if could else 0.0

    def calls(self) -> Tuple[int, ...]:
        rows = [_less(child.histogram, before.histogram if before else ()) for before, child in self._pairs]
        return tuple(map(sum, zip(*rows))) if rows else (0,) * (len(HANDLER_SECONDS) + 1)

    def _sum(self, name: str) -> float:
        return sum(float(getattr(child, name) - (getattr(before, name) if before else 0)) for before, child in self._pairs)


def _less(counts: Sequence[int], before: Sequence[int]) -> List[int]:
    counts = list(counts) or [0] * (len(HANDLER_SECONDS) + 1)
    return [count - earlier for count, earlier in zip(counts, list(before) or [0] * len(counts))]


def quantile(counts: Sequence[int], share: float) -> Optional[float]:
    """The time within which this share of the calls ended, as Prometheus' histogram_quantile() reckons; None: there were
    none."""
    wanted = share * sum(counts)
    if not wanted:
        return None
    passed, lower = 0.0, 0.0
    for upper, count in zip(HANDLER_SECONDS, counts):
        if passed + count >= wanted:
            return round(lower + (upper - lower) * (wanted - passed) / count, 6)
        passed, lower = passed + count, upper
    return HANDLER_SECONDS[-1]
