"""Attempts of one message, and since when it fails. Pure."""

from __future__ import annotations

import math
from typing import Tuple

from kafka_worker.partitions.task import Task, attempt_of, with_attempt


class Attempt(int):
    """The number of an attempt of a message that has failed before. It knows since when that is so: as attributes of the
    number, because so it costs nothing to messages that never fail, and goes and ends with its task."""

    failing_since: float  # monotonic seconds; infinite: no failure has counted yet
    failed_at: float  # the last time, whether it counted or not; infinite: not known

    def __new__(  # noqa: PYI034 (typing.Self needs Python 3.11)
        cls, number: int, failing_since: float, failed_at: float = math.inf
    ) -> Attempt:
        """Attempt number so and so."""
        made = super().__new__(cls, number)
        made.failing_since, made.failed_at = failing_since, failed_at
        return made

    def __reduce__(self) -> Tuple[type, Tuple[int]]:
        """In another process it is a number only."""
        return int, (int(self),)


def age_of(attempt: int, now: float) -> float:
    """Seconds since the first failure of a task, when attempt number `attempt` has failed at `now` (monotonic seconds)."""
    return max(0.0, now - attempt.failing_since) if isinstance(attempt, Attempt) else 0.0


def failed_before(attempt: int) -> float:
    """When the message of this attempt failed the last time (monotonic seconds); infinite: it did not."""
    return attempt.failed_at if isinstance(attempt, Attempt) else math.inf


def spared(task: Task, now: float) -> Task:
    """The task, which has failed at `now`, as the attempt that it was."""
    attempt = attempt_of(task)
    since = attempt.failing_since if isinstance(attempt, Attempt) else math.inf
    return with_attempt(task, Attempt(attempt, since, now))
