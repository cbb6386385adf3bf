"""What becomes of a task whose handler raised, and when it is due again. Pure: the clock and the randomness are passed in.

A waiting task holds no thread: it sits in a heap until the consumer thread finds it due. It stays in flight (its offset can't
be committed) and keeps its lane (its followers wait), so that order holds across retries.
"""

from __future__ import annotations

import heapq
import itertools
from typing import Callable, List, Optional, Tuple

from service.outcomes import Reject, Retry
from worker.decoding import UndecodableError
from worker.lanes import Task


class RetryPolicy:
    """Exponential back-off with jitter, for a bounded number of attempts."""

    def __init__(self, max_attempts: int, backoff: float, longest: float, random: Callable[[], float]) -> None:
        """`backoff` seconds before the second attempt, doubling up to `longest`; `random` gives 0 to 1."""
        self._max_attempts = max_attempts
        self._backoff = backoff
        self._longest = longest
        self._random = random

    def delay(self, error: BaseException, attempt: int) -> Optional[float]:
        """Seconds until the next attempt after failed attempt number `attempt`; None: no further one, a dead letter.

        Half of the delay is fixed and half is random: retries of tasks that failed together spread out, and none comes at
        once."""
        if isinstance(error, (UndecodableError, Reject)) or attempt >= self._max_attempts:
            return None
        if isinstance(error, Retry) and error.after is not None:
            return max(0.0, error.after)
        whole = min(self._longest, self._backoff * 2.0 ** min(attempt - 1, 60))
        return whole * (0.5 + 0.5 * self._random())


class RetrySchedule:
    """Tasks waiting for their next attempt. Consumer thread only."""

    def __init__(self) -> None:
        """Nothing waits."""
        self._heap: List[Tuple[float, int, Task]] = []
        self._order = itertools.count()  # breaks ties: tasks themselves can't be compared

    def add(self, task: Task, due: float) -> None:
        """Run the task again as its next attempt at `due` (monotonic seconds)."""
        offset, segment, message, lane, attempt = task
        heapq.heappush(self._heap, (due, next(self._order), (offset, segment, message, lane, attempt + 1)))

    def due(self, now: float) -> List[Task]:
        """The tasks whose time has come."""
        tasks = []
        while self._heap and self._heap[0][0] <= now:
            tasks.append(heapq.heappop(self._heap)[2])
        return tasks

    def give_up(self, deadline: float) -> List[Task]:
        """Drop the tasks of closed partitions that are not due before `deadline`, and return them."""
        hopeless = [entry for entry in self._heap if entry[2][1].partition.closed and entry[0] > deadline]
        self._heap = [entry for entry in self._heap if entry not in hopeless]
        heapq.heapify(self._heap)
        return [task for _, _, task in hopeless]

    def next_due(self) -> Optional[float]:
        """When the next one is due; None when none waits."""
        return self._heap[0][0] if self._heap else None

    def __len__(self) -> int:
        """How many wait."""
        return len(self._heap)
