"""What becomes of tasks whose handler raised: again later, or a dead letter. Either way the task stays in flight and keeps
its lane, so nothing is committed past it and its followers wait. Consumer thread only.
"""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, Iterable

from service.settings import Settings
from worker.dead_letter import DeadLetters, text_of
from worker.gate import Gate
from worker.lanes import Task
from worker.pool import Pool
from worker.retry import RetryPolicy, RetrySchedule

log = logging.getLogger(__name__)


class Failures:
    """The failed tasks of one process."""

    def __init__(
        self,
        settings: Settings,
        policy: RetryPolicy,
        pool: Pool,
        producer_properties: Dict[str, Any],
        clock: Callable[[], float],
        gate: Gate,
    ) -> None:
        """Takes the failures from the pool's list, and puts tasks back into their partitions' queues."""
        self._gate = gate
        self._policy = policy
        self._pool = pool
        self._clock = clock
        self.retries = RetrySchedule()
        self.dead_letters = DeadLetters(producer_properties, settings.dead_letter_suffix, settings.group_id, self._stored)

    def serve(self) -> None:
        """Decide about what failed, start what is due again, send what is to be sent. Called in each turn of the loop."""
        now = self._clock()
        while self._pool.undecided:
            task, error = self._pool.undecided.popleft()
            if not task[1].partition.revoked:  # else it is not committed, and runs again where the partition went
                self._decide(task, error, now)
        self.requeue(self.retries.due(now))
        self.dead_letters.serve()

    def requeue(self, tasks: Iterable[Task]) -> None:
        """Tasks that have waited elsewhere may run now."""
        for task in tasks:
            task[1].partition.queue.put(task)
            self._pool.wake(1)

    def give_up(self, deadline: float) -> None:
        """Of closed partitions: retries that are not due before the deadline leave a gap that nobody will fill."""
        for task in self.retries.give_up(deadline):
            partition = task[1].partition
            partition.given_up = min(partition.given_up, task[0])

    def _decide(self, task: Task, error: BaseException, now: float) -> None:
        offset, segment, _message, _lane, attempt = task
        delay = self._policy.delay(error, attempt)
        if self._gate.take_back(task, error, now, last=delay is None):
            return
        if delay is None:
            log.error(
                "%s offset %d goes to the dead letters after attempt %d: %s",
                segment.partition, offset, attempt, type(error).__name__, exc_info=error,
            )  # fmt: skip
            self.dead_letters.send(task, error)
        else:
            log.warning(
                "%s offset %d failed at attempt %d (%s: %s), again in %.1f s",
                segment.partition, offset, attempt, type(error).__name__, text_of(error), delay,
            )  # fmt: skip
            self.retries.add(task, now + delay)

    def _stored(self, task: Task) -> None:
        """A dead letter is acknowledged: that is the task's outcome."""
        offset, segment, _message, lane, _attempt = task
        if segment.partition.revoked:
            return  # its segment may be somebody else's by now
        segment.complete(offset)
        follower = lane.release() if lane is not None else None
        if follower is not None:
            self.requeue([follower])
