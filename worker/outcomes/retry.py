"""What becomes of a task whose handler raised, and when it is due again. Pure: the clock and the randomness are passed in.

A waiting task holds no thread: it sits in a heap until the consumer thread finds it due. It stays in flight (its offset can't
be committed) and keeps its lane (its followers wait), so that order holds across retries.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from typing import Callable, Dict, List, Mapping, Optional, Set, Tuple

from kafka_worker.handler.errors import WorthAgain
from kafka_worker.isolation.task_process import TaskDiedError
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Attempt, Task, age_of, attempt_of, partition_of, with_attempt
from kafka_worker.shared.foreign.answers import Reject, Retry
from kafka_worker.shared.foreign.errors import UndecodableError
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.topic_settings import ByTopic, TopicSettings

SHORTEST_SECONDS = 0.01  # chance may give 0, and a service that tries again at once is a busy loop
_REASONS = {"death": TaskDiedError, "rejected": Reject, "invalid": UndecodableError}
LONGEST_SECONDS = 10 * 365 * 86400.0  # a handler may wish for anything, infinity included


class RetryPolicy:
    """Exponential back-off with full jitter, for a bounded number of attempts and a bounded time. That of one topic."""

    def __init__(self, settings: TopicSettings, random: Callable[[], float]) -> None:
        """`random` gives 0 to 1."""
        self._max_attempts = settings.max_attempts
        self._backoff = settings.retry_backoff_seconds
        self._longest = settings.retry_backoff_max_seconds
        self._max_age = settings.retry_max_age_seconds or float("inf")
        self._worth_it = WorthAgain(settings)
        self._random = random

    def delay(self, error: BaseException, attempt: int, age: float = 0.0) -> Optional[float]:
        """Seconds until the next attempt after failed attempt number `attempt`; None: no further one, a dead letter. `age`:
        seconds since the first failure. A wait that would end beyond the greatest age is not begun."""
        if attempt >= self._max_attempts or not self._worth_it(error):
            return None
        delay = _wished(error)
        if delay is None:
            delay = self._chosen(attempt)
        return delay if age + delay <= self._max_age else None

    def reason(self, error: BaseException) -> str:
        """Why a message that fails so has no further attempt, in a word that stays."""
        for reason, kinds in _REASONS.items():
            if isinstance(error, kinds):
                return reason
        return "attempts" if self._worth_it(error) else "fatal"

    def _chosen(self, attempt: int) -> float:
        """All of it is random, so that tasks which failed together come back spread out evenly: "full jitter" in Marc Brooker,
        "Exponential Backoff And Jitter", AWS Architecture Blog 2015, where it does the least work of all kinds."""
        whole = min(self._longest, self._backoff * 2.0 ** min(attempt - 1, 60))
        return max(SHORTEST_SECONDS, whole * self._random())


def policies(settings: Settings, random: Callable[[], float]) -> ByTopic[RetryPolicy]:
    """That of each topic. `random` gives 0 to 1."""
    return ByTopic(settings.of, lambda own: RetryPolicy(own, random))


def _wished(error: BaseException) -> Optional[float]:
    """The wait that the handler wants; None: none, or none that makes sense."""
    if not isinstance(error, Retry):
        return None
    try:
        return min(max(0.0, float(error.after)), LONGEST_SECONDS)  # type: ignore[arg-type]
    except Exception:  # it is the user's object: no wish, no number, or a subclass that never called ours
        return None


class RetrySchedule:
    """Tasks waiting for their next attempt. Consumer thread only."""

    def __init__(self) -> None:
        """Nothing waits."""
        self._heap: List[Tuple[float, int, Task]] = []
        self._order = itertools.count()  # breaks ties: tasks themselves can't be compared

    def add(self, task: Task, due: float, failed_at: float) -> None:
        """Run the task, which has failed at `failed_at`, again as its next attempt at `due` (monotonic seconds)."""
        attempt = attempt_of(task)
        again = Attempt(attempt + 1, failed_at - age_of(attempt, failed_at), failed_at)
        self.hold(with_attempt(task, again), due)

    def hold(self, task: Task, due: float) -> None:
        """Run the task as it is at `due`, in an object of its own: threads go by that whether a call of it has ended."""
        again = with_attempt(task, attempt_of(task))
        heapq.heappush(self._heap, (due, next(self._order), again))

    def due(self, now: float) -> List[Task]:
        """The tasks whose time has come."""
        tasks = []
        while self._heap and self._heap[0][0] <= now:
            tasks.append(heapq.heappop(self._heap)[2])
        return tasks

    def abandon(self, deadline: float) -> List[Task]:
        """Drop the tasks of closed partitions that are not due before `deadline`, and return them. Of retry topics all: they
        are never in order, so that each rebalance would wait for one that has done nothing yet."""
        hopeless = [entry for entry in self._heap if _hopeless(entry[2], entry[0], deadline)]
        if hopeless:
            self._heap = [entry for entry in self._heap if not _hopeless(entry[2], entry[0], deadline)]
            heapq.heapify(self._heap)
        return [task for _, _, task in hopeless]

    def take_out(self, partition: Partition, offset: int) -> Optional[Task]:
        """The task of this offset, if it waits, which it does no more."""
        found = next((entry for entry in self._heap if entry[2][5] is partition and entry[2][0] == offset), None)
        if found is None:
            return None
        self._heap = [entry for entry in self._heap if entry is not found]
        heapq.heapify(self._heap)
        return found[2]

    def next_due(self) -> Optional[float]:
        """When the next one is due; None when none waits."""
        return self._heap[0][0] if self._heap else None

    def find(self, wanted: Mapping[Partition, int]) -> List[Tuple[Task, float]]:
        """Those of these offsets that wait, each with when it is due (monotonic seconds)."""
        return [(task, due) for due, _, task in self._heap if wanted.get(task[5]) == task[0]]

    def topics(self) -> Dict[str, int]:
        """How many wait, by the topics of their partitions."""
        return Counter(partition_of(task).topic for _, _, task in self._heap)

    def partitions(self) -> Set[Partition]:
        """The partitions of what waits."""
        return {partition_of(task) for _, _, task in self._heap}

    def __len__(self) -> int:
        """How many tasks wait."""
        return len(self._heap)


def _hopeless(task: Task, due: float, deadline: float) -> bool:
    partition = partition_of(task)
    return partition.closing.closed and (due > deadline or bool(partition.retries_of))
