"""Messages that are not to be handled before the time of their header `deliver-at`. The header is looked at when a message's
turn has come, in the thread that would call its handler: so a message with a key waits for what is before it, and what is
behind it waits for it. With DELIVER_AT_MAX_SECONDS=0 nobody pays for this: nothing of it stands before the handler.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, Sequence, Tuple

from kafka_worker.handler.loading import Call, Kind
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task, message_of
from kafka_worker.pools.times import produced_at
from kafka_worker.shared.foreign.deliver_at import HEADER, in_words, time_of
from kafka_worker.shared.foreign.errors import InvalidMessageError, UntriedError
from kafka_worker.shared.foreign.retry_headers import not_before
from kafka_worker.shared.settings import Settings

NOW_SECONDS = 0.001  # what is due so soon is due


class NotYetError(UntriedError):
    """Its time has not come: no failure, and no attempt."""

    def __init__(self, at: float) -> None:
        """`at`: seconds since 1970."""
        super().__init__(f"it waits until {in_words(at)}, the time of its header {HEADER}")
        self.at = at


def left(message: Any, wall: float) -> float:
    """For how many more seconds it waits, if it is `wall` (seconds since 1970) now; 0: its time has come, or it has none."""
    try:
        at = time_of(message)
    except InvalidMessageError:  # its handler's thread will say so
        return 0.0
    return at - wall if at is not None and at - wall > NOW_SECONDS else 0.0


def of_settings(settings: Settings, kind: Kind, call: Any, wall: Callable[[], float] = time.time) -> Any:
    """The call of a pool, as DELIVER_AT_MAX_SECONDS wants it."""
    longest = settings.deliver_at_max_seconds
    return Scheduled(longest, wall).of(kind, call) if longest else call


def since(message: Any) -> float:
    """From when on it could have been called: when it was produced, or, if it has a time of its own, then."""
    return not_before(message, produced_at(message))


class Scheduled:
    """Calls of handlers, for messages whose time has come."""

    def __init__(self, longest: float, wall: Callable[[], float] = time.time) -> None:
        """`longest`: how far ahead a time may lie; `wall`: seconds since 1970."""
        self._longest = longest
        self._wall = wall

    def of(self, kind: Kind, call: Any) -> Any:
        """The same call, but it raises for a message whose time has not come, or whose header says no time."""
        return self._of_batch(call) if kind is Kind.BATCH else self._of_call(call)

    def _of_call(self, call: Call) -> Call:
        def scheduled(message: Any, partition: Partition, attempt: int) -> Any:
            self._check(message)
            return call(message, partition, attempt)

        return scheduled

    def _of_batch(self, call: Callable[[Sequence[Task]], Any]) -> Callable[[Sequence[Task]], Any]:
        def scheduled(tasks: Sequence[Task]) -> Tuple[Any, Dict[int, BaseException]]:
            places, waits = self._sorted(tasks)
            if not waits:
                return call(tasks)  # type: ignore[no-any-return]
            result, failures = call([tasks[place] for place in places]) if places else (None, {})
            return result, {**waits, **{places[index]: failure for index, failure in failures.items()}}

        return scheduled

    def _sorted(self, tasks: Sequence[Task]) -> Tuple[List[int], Dict[int, BaseException]]:
        """The places of those whose time has come, and why the others are not called."""
        waits: Dict[int, BaseException] = {}
        for place, task in enumerate(tasks):
            try:
                self._check(message_of(task))
            except (NotYetError, InvalidMessageError) as problem:
                waits[place] = problem
        return [place for place in range(len(tasks)) if place not in waits], waits

    def _check(self, message: Any) -> None:
        at = time_of(message)
        if at is None:
            return
        wait = at - self._wall()
        if wait > self._longest:
            limit = f"DELIVER_AT_MAX_SECONDS = {self._longest:g}"
            raise InvalidMessageError(f"the time of its header {HEADER}, {in_words(at)}, is further ahead than {limit}")
        if wait > NOW_SECONDS:
            raise NotYetError(at)
