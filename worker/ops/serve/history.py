"""What the charts of the last hour are drawn from: a few sums, every five seconds. Pure. It is kept in memory, and begins anew
with the process: what has to last longer is a matter for Prometheus.

What is at a moment is as the snapshot says it; what was done meanwhile is how much more of it the snapshot counts by now.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Deque, Dict, NamedTuple, Optional, Sequence, Tuple

from kafka_worker.shared.ipc.snapshot import BOUNDS, BUCKETS, Snapshot

STEP_SECONDS = 5.0
KEPT_SECONDS = 3600.0
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Point(NamedTuple):
    """The time since the point before, in a few numbers. None: not known."""

    at: float  # unix time of its end
    done_per_second: Optional[float]
    failed_per_second: Optional[float]
    lag_messages: Optional[int]
    lag_seconds: Optional[float]
    utilization: Optional[float]  # share of the calls that could run at once that did, on average of late
    calls: Tuple[float, ...]  # that ended meanwhile, by the buckets of BOUNDS


class _Count(NamedTuple):
    """What was done since the service began."""

    done: float = 0
    failed: float = 0
    calls: Tuple[float, ...] = (0,) * len(BUCKETS)


class History:
    """The points of the last hour."""

    def __init__(self) -> None:
        """No point yet."""
        self._points: Deque[Point] = deque(maxlen=int(KEPT_SECONDS / STEP_SECONDS))
        self._before = _Count()
        self._at = float("-inf")

    def due(self, now: float) -> bool:
        """Whether it is time for the next point (in monotonic seconds)."""
        return now >= self._at + STEP_SECONDS

    def add(self, snapshot: Snapshot, now: float, unix_time: float) -> None:
        """A point of what has happened since the one before."""
        seconds, count, sums = now - self._at, _count_of(snapshot), snapshot.totals
        known = seconds <= 2 * STEP_SECONDS
        done, failed = _more(count.done, self._before.done), _more(count.failed, self._before.failed)
        self._points.append(
            Point(
                at=round(unix_time, 3),
                done_per_second=round(done / seconds, 3) if known else None,
                failed_per_second=round(failed / seconds, 3) if known else None,
                lag_messages=sums.lag if sums.lag or not sums.lag_unknown else None,
                lag_seconds=sums.lag_seconds if sums.lag_seconds >= 0 else None,
                utilization=round(snapshot.utilization, 4) if snapshot.utilization >= 0 else None,
                calls=tuple(map(_more, count.calls, self._before.calls)) if known else _Count().calls,
            )
        )
        self._before, self._at = count, now

    def as_json(self) -> Dict[str, Any]:
        """A list for each number, as charts want it, the newest last; and what the latencies were."""
        points = list(self._points)
        columns: Dict[str, Any] = {name: [getattr(point, name) for point in points] for name in Point._fields}
        for name, share in SHARES.items():
            columns[name] = [quantile(point.calls, share) for point in points]
        return {"step_seconds": STEP_SECONDS, "bounds": list(BOUNDS), **columns}


def _count_of(snapshot: Snapshot) -> _Count:
    calls: Dict[str, float] = dict.fromkeys(BUCKETS, 0)
    for each in snapshot.work:
        if each.what == "handler_calls" and each.kind in calls:
            calls[each.kind] += each.count
    return _Count(snapshot.totals.done, snapshot.totals.failed, tuple(calls.values()))


def _more(count: float, before: float) -> float:
    """How much it has grown. A service that was started anew counts from the beginning."""
    return count - before if count >= before else count


def quantile(counts: Sequence[float], share: float) -> Optional[float]:
    """The time within which this share of the calls ended, as Prometheus' histogram_quantile() reckons; None: there were
    none."""
    wanted = share * sum(counts)
    if not wanted:
        return None
    passed, lower = 0.0, 0.0
    for upper, count in zip(BOUNDS, counts):
        if passed + count >= wanted:
            return round(lower + (upper - lower) * (wanted - passed) / count, 6)
        passed, lower = passed + count, upper
    return BOUNDS[-1]
