"""Long waits in topics of their own, `<topic>.retry.<delay>`: the message goes there, its task is done here, and whoever has
the partition of the retry topic runs it when it is due. So a wait of hours stops no commit, and it and the number of attempts
survive every restart; what it gives up is the order of keys. Off unless RETRY_TOPICS names delays.

Only what comes from a retry topic of ours is believed to say where it came from first: a message of an ordinary topic may
carry any headers.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from kafka_worker.kafka.outgoing.record import Headers, OutgoingRecord
from kafka_worker.outcomes.retry import LONGEST_SECONDS
from kafka_worker.partitions.task import Attempt, Task, age_of, attempt_of, facts_of, in_words, message_of, partition_of
from kafka_worker.shared import logs
from kafka_worker.shared.configuration.failure_settings import retry_topic, seconds_of
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.foreign import retry_headers
from kafka_worker.shared.foreign.headers import readable_headers
from kafka_worker.shared.foreign.retry_headers import OURS, PREFIX, numbers_of

log = logs.logger(__name__)

LONGEST_NAP_SECONDS = 60.0


class DelayedMessage:
    """A message that took the long way: answers like the one that was delivered from the first topic."""

    def __init__(self, message: Any, topic: str, place: Dict[str, int], due: float) -> None:
        """`place`: the numbers of our headers; those that are missing are the message's own. `due`: monotonic seconds."""
        self.due = due
        self._message = message
        self._topic = topic
        self._partition = int(place.get("partition", message.partition()))
        self._offset = int(place.get("offset", message.offset()))
        self.due_at: float = place.get("due-at", message.timestamp()[1]) / 1000  # the same in seconds since 1970
        at = place.get("timestamp", message.timestamp()[1])
        self._timestamp = (1, at) if at > 0 else (0, 0)
        self._headers = _theirs(message)

    def topic(self) -> str:
        """The topic that it was in at first."""
        return self._topic

    def partition(self) -> int:
        """Its partition in the first topic."""
        return self._partition

    def offset(self) -> int:
        """Its offset in that partition."""
        return self._offset

    def timestamp(self) -> Tuple[int, int]:
        """The (kind, milliseconds) with which it was produced first."""
        return self._timestamp

    def headers(self) -> List[Tuple[str, Any]]:
        """The headers without those that are ours."""
        return self._headers

    def set_headers(self, headers: Headers) -> None:
        """Give it others."""
        self._headers = headers

    def key(self) -> Any:
        """The key as it was produced."""
        return self._message.key()

    def value(self) -> Any:
        """The value as it was produced."""
        return self._message.value()


class RetryTopics:
    """The retry topics of one service."""

    def __init__(self, topics: Sequence[str], delays: Sequence[str], wall: Callable[[], float]) -> None:
        """`topics`: the ordinary ones; `delays` like "30s"; none: long waits are spent like short ones; `wall`: seconds
        since 1970."""
        self._delays = sorted((seconds_of(delay), delay) for delay in delays)
        self._firsts = {retry_topic(topic, delay): topic for topic in topics for delay in delays}
        self._seconds = {retry_topic(topic, delay): seconds for topic in topics for seconds, delay in self._delays}
        self._wall = wall

    def __iter__(self) -> Any:
        """The names of the retry topics, to subscribe to."""
        return iter(self._firsts)

    def retries_of(self, topic: str) -> str:
        """The ordinary topic that a retry topic belongs to; empty for any other topic."""
        return self._firsts.get(topic, "")

    def record(self, task: Task, delay: float, age: float) -> Optional[OutgoingRecord]:
        """What to produce so that the task runs again in `delay` seconds as its next attempt; None: the wait is too short for
        any retry topic. `age`: seconds since it failed for the first time."""
        return self._made(message_of(task), attempt_of(task) + 1, delay, age)

    def sleeps(self, task: Task, now: float) -> float:
        """For how many seconds more; 0: it is due, or did not come from a retry topic."""
        message = message_of(task)
        return max(0.0, message.due - now) if isinstance(message, DelayedMessage) else 0.0

    def nap(self, task: Task, wait: float) -> float:
        """For how many of these seconds a task is held. If it came from a retry topic, no longer than the delay of that topic,
        then it is asked whether it stands in the way of others; if it waits for a time, until the clock is looked at again."""
        return min(wait, self._seconds.get(partition_of(task).topic, LONGEST_NAP_SECONDS))

    def lap(self, task: Task, now: float) -> Optional[OutgoingRecord]:
        """What to produce so that a task that sleeps goes to the end of its topic, or of one of a longer delay, because it
        stands in the way of others; None: it does not, or not for longer than the delay of its topic, as others there do."""
        wait, partition = self.sleeps(task, now), partition_of(task)
        if not partition.flow.crowded or partition.flow.held or wait < self._seconds.get(partition.topic, math.inf):
            return None
        return self.as_it_is(task, wait, now)

    def as_it_is(self, task: Task, wait: float, now: float) -> Optional[OutgoingRecord]:
        """What to produce so that the task runs in `wait` seconds as the attempt that it is; None: the wait is too short."""
        return self._made(message_of(task), attempt_of(task), wait, age_of(attempt_of(task), now))

    def _made(self, message: Any, attempt: int, delay: float, age: float) -> Optional[OutgoingRecord]:
        fitting = [name for seconds, name in self._delays if seconds <= delay]
        topic, now = message.topic(), self._wall()
        if not fitting or topic not in self._firsts.values():
            return None
        ours = {
            "topic": topic,
            "partition": message.partition(),
            "offset": message.offset(),
            "timestamp": max(0, message.timestamp()[1]),
            "attempt": int(attempt),
            "due-at": round((now + delay) * 1000),
            "first-failed-at": round((now - age) * 1000),
        }
        headers = _theirs(message) + [(PREFIX + name, str(value).encode()) for name, value in ours.items()]
        # With the time of now: the topic's retention must not count from when the message was first produced.
        return OutgoingRecord(retry_topic(topic, fitting[-1]), message.key(), message.value(), headers)

    def delayed(self, task: Task, now: float) -> Task:
        """What a task really is that was delivered from a retry topic; `now`: monotonic."""
        offset, segment, message, lane, _attempt, partition = task
        first = partition.retries_of
        said, wall = numbers_of(readable_headers(message), first), self._wall()
        if not said:
            log.warning(
                "%s carries none of our headers: it runs now, as a first attempt",
                in_words(task), extra=about(Event.RETRY_WITHOUT_HEADERS, **facts_of(task)),
            )  # fmt: skip
            return offset, segment, DelayedMessage(message, first, said, now), lane, 1, partition
        age = max(0.0, wall - said["first-failed-at"] / 1000)
        wait = min(max(0.0, said["due-at"] / 1000 - wall), LONGEST_SECONDS)
        attempt = Attempt(said["attempt"], now - age, now) if said["attempt"] > 1 else 1  # it has only waited for its time
        return offset, segment, DelayedMessage(message, first, said, now + wait), lane, attempt, partition


def due_at(message: Any, first: str, *, scheduled: bool) -> float:
    """The same as that of `retry_headers`, also of a message that took the long way."""
    if not isinstance(message, DelayedMessage):
        return retry_headers.due_at(message, first, scheduled=scheduled)
    return retry_headers.not_before(message, message.due_at) if scheduled else message.due_at


def _theirs(message: Any) -> Headers:
    return [(name, value) for name, value in readable_headers(message) if name not in OURS]
