"""Tasks that wait for their time: for their next attempt, or for what a header says; here, or in a retry topic."""

from __future__ import annotations

from typing import Callable, List, Mapping, Optional, Tuple

from kafka_worker.kafka.outgoing.record import OutgoingRecord
from kafka_worker.kafka.outgoing.transactions import AnyOutbox
from kafka_worker.outcomes.retry import RetrySchedule
from kafka_worker.outcomes.retry_topics import RetryTopics
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task, message_of
from kafka_worker.pools.scheduled import left
from kafka_worker.shared.foreign.deliver_at import time_of
from kafka_worker.shared.settings import Settings

RETRY = "retry"


class Sleeping:
    """Those of one process. Consumer thread only. `now`: monotonic seconds."""

    def __init__(
        self,
        settings: Settings,
        outbox: AnyOutbox,
        sent_on: Callable[[Task], None],
        wall: Callable[[], float],
    ) -> None:
        """`sent_on` is told of each that a retry topic has; `wall`: seconds since 1970."""
        self.topics = RetryTopics(settings.topics, settings.retry_topics, wall)
        self.schedule = RetrySchedule()
        self.by_header = bool(settings.deliver_at_max_seconds)  # whether headers may say when
        self._outbox = outbox
        self._sent_on = sent_on
        self._wall = wall

    def retry(self, task: Task, delay: float, age: float, now: float) -> None:
        """It has failed, and is tried again after so many seconds."""
        record = self.topics.record(task, delay, age)
        if record is None:
            self.schedule.add(task, now + delay, now)
        else:
            self._outbox.send(RETRY, task, record, self._sent_on)

    def wait_for_its_time(self, task: Task, now: float) -> None:
        """It was not tried, and waits as it is: where a failed one with so long a wait would."""
        self._rest(task, self.topics.as_it_is(task, self.seconds(task, now), now), now)

    def delayed(self, tasks: List[Task], now: float) -> None:
        """These were just delivered from a retry topic: each waits until it is due."""
        for task in tasks:
            self._sleep(task, now)

    def sleeps_on(self, task: Task, now: float) -> bool:
        """It was due: whether it was only looked at, as it sleeps for so long, and does so again."""
        if not self.seconds(task, now):
            return False
        self._rest(task, self.topics.lap(task, now), now)
        return True

    def seconds(self, task: Task, now: float) -> float:
        """For how many more it is not to run; 0: it is due."""
        return max(self.topics.sleeps(task, now), self._early(task))

    def waiting(self, wanted: Mapping[Partition, int], now: float) -> List[Tuple[Task, float, Optional[float]]]:
        """Those of these offsets that wait: each with when it is due, and the time of its header, if it is that which it waits
        for (seconds since 1970)."""
        return [
            (task, max(due, now + self.seconds(task, now)), time_of(message_of(task)) if self._early(task) else None)
            for task, due in self.schedule.find(wanted)
        ]

    def _rest(self, task: Task, record: Optional[OutgoingRecord], now: float) -> None:
        """Until its time has come: in a retry topic, where this is produced; None: here."""
        if record is None:
            self._sleep(task, now)
        else:
            self._outbox.send(RETRY, task, record, self._sent_on)

    def _early(self, task: Task) -> float:
        """For how many seconds more the time of its header has not come."""
        return left(message_of(task), self._wall()) if self.by_header else 0.0

    def _sleep(self, task: Task, now: float) -> None:
        self.schedule.hold(task, now + self.topics.nap(task, self.seconds(task, now)))
