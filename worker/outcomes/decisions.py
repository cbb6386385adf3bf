"""What becomes of tasks whose handler raised: again later, or a dead letter. Either way the task stays in flight and keeps
its lane, so nothing is committed past it and its followers wait. Consumer thread only.
"""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, Iterable, List

from kafka_worker.gates.gates import Gates
from kafka_worker.handler.batch import Alone, Whole
from kafka_worker.isolation.task_process import TaskDiedError, TaskProcessError
from kafka_worker.kafka.outbox import Outbox
from kafka_worker.kafka.properties import Member
from kafka_worker.outcomes.dead_letters import DeadLetters
from kafka_worker.outcomes.results import Sending
from kafka_worker.outcomes.retry import RetryPolicy, RetrySchedule
from kafka_worker.outcomes.retry_topics import RetryTopics
from kafka_worker.partitions import completion
from kafka_worker.partitions.attempts import age_of
from kafka_worker.partitions.lanes import Task
from kafka_worker.pools.thread_pool import Runner
from kafka_worker.recovery.quarantine import Quarantine
from kafka_worker.shared.foreign.answers import Reject
from kafka_worker.shared.foreign.errors import UndecodableError, names_of, plain, text_of
from kafka_worker.shared.logs import Seldom
from kafka_worker.shared.settings import Settings

log = logging.getLogger(__name__)

NO_PROCESS_SECONDS = 5.0  # until it is tried again to have a task process, when none can be had
VERDICTS = (Reject, UndecodableError)  # what is said of a message itself, and comes of no haste


class Failures:
    """The failed tasks of one process."""

    def __init__(
        self,
        settings: Settings,
        policy: RetryPolicy,
        pool: Runner,
        producer_properties: Dict[str, Any],
        member: Member,
        clock: Callable[[], float],
        quarantine: Quarantine,
        gates: Gates,
    ) -> None:
        """Takes the failures from the pool's list, and puts tasks back into their partitions' queues."""
        self._gates = gates
        self._policy = policy
        self._pool = pool
        self._clock = clock
        self._quarantine = quarantine
        self._complaint = Seldom(log, clock)
        self._trouble, self._trouble_until = "", clock()
        self.retries = RetrySchedule()
        self.outbox = Outbox(producer_properties, clock)
        self.sending = Sending(self.outbox, self.complete, pool.undecided.append)
        self.retry_topics = RetryTopics(settings.topics, settings.retry_topics)
        self.dead_letters = DeadLetters(self.outbox, settings.dead_letter_suffix, settings.group_id, member, self.complete)

    def serve(self) -> None:
        """Decide about what failed, start what is due again, send what is to be sent. Called in each turn of the loop."""
        now = self._clock()
        while self._pool.undecided:
            task, outcome = self._pool.undecided.popleft()
            if not task[1].partition.revoked:  # else it is not committed, and runs again where the partition went
                self._take(task, outcome, now)
        for task in self.retries.due(now):
            self._wake(task, now)
        self.outbox.serve()

    @property
    def trouble(self) -> str:
        """What keeps us from running tasks, of late; empty: nothing."""
        return self._trouble if self._clock() < self._trouble_until else ""

    def requeue(self, tasks: Iterable[Task]) -> None:
        """Tasks that have waited elsewhere may run now."""
        for task in tasks:
            task[1].partition.queue.put(task)
            self._pool.wake(1)

    def returned(self, tasks: List[Task]) -> None:
        """Tasks that were just delivered from a retry topic: each waits until it is due."""
        now = self._clock()
        for task in tasks:
            self._sleep(self.retry_topics.returned(task, now), now)

    def give_up(self, deadline: float) -> None:
        """Of closed partitions: retries that are not due before the deadline, records that the broker refuses, and suspects
        that wait for their turn leave a gap that nobody will fill."""
        _leave(self.retries.give_up(deadline) + self.outbox.give_up() + self._quarantine.give_up())

    def complete(self, task: Task) -> None:
        """The task has its outcome, as all that it had to have stored is stored: its followers may run."""
        if task[1].partition.revoked:
            return  # its segment may be somebody else's by now
        self._quarantine.settled(task)
        if completion.done(task):
            self._pool.wake(1)

    def _wake(self, task: Task, now: float) -> None:
        """The task has waited long enough, or is to be looked at because it sleeps for so long."""
        if not self.retry_topics.sleeps(task, now):
            if not self._gates.set_aside(task):
                self.requeue([task])
            return
        record = self.retry_topics.lap(task, now)
        if record is None:
            self._sleep(task, now)
        else:
            self.outbox.send("retry", task, record, self.complete)

    def _sleep(self, task: Task, now: float) -> None:
        self.retries.hold(task, now + self.retry_topics.nap(task, self.retry_topics.sleeps(task, now)))

    def _take(self, task: Task, outcome: Any, now: float) -> None:
        if isinstance(outcome, completion.Results):
            self.sending.send(outcome, now)
        elif task[1].partition.closed and not isinstance(outcome, VERDICTS):
            self._leave_undone(task, outcome)
        elif isinstance(outcome, Whole):
            self._call_apart(outcome)
        elif isinstance(outcome, TaskProcessError):
            self._wait_for_a_process(task, outcome, now)
        else:
            self._decide(task, outcome, now)

    @staticmethod
    def _leave_undone(task: Task, outcome: Any) -> None:
        """Its partition goes away, and the handler was told so: it may have failed because of that. So nothing is counted, and
        it runs again elsewhere as if it had not been tried."""
        error = outcome.error if isinstance(outcome, Whole) else outcome
        log.info(
            "%s offset %d is left undone at attempt %d, which does not count, as its partition goes away: %s: %s",
            task[1].partition, task[0], task[4], plain(names_of(error)[0]), text_of(error),
        )  # fmt: skip
        _leave(outcome.tasks if isinstance(outcome, Whole) else [task])

    def _call_apart(self, whole: Whole) -> None:
        """Not known is by whom a batch has failed: each of its messages is called alone now, and no attempt is counted."""
        first = whole.tasks[0]
        log.warning(
            "%s: a batch of %d from offset %d on has failed, so each of its messages is called alone",
            first[1].partition, len(whole.tasks), first[0], exc_info=whole.error,
        )  # fmt: skip
        self._gates.give_back(whole.tasks)
        self.requeue(map(Alone, reversed(whole.tasks)))  # the first one first in either kind of queue

    def _wait_for_a_process(self, task: Task, error: TaskProcessError, now: float) -> None:
        """It is our inability, or the machine's: the task was not tried, and waits as it is."""
        self._trouble = "no task process can be had: %s" % error
        self._trouble_until = now + 2 * NO_PROCESS_SECONDS
        self._complaint.log(
            logging.ERROR,
            "%s offset %d is tried again in %.1f s, as the attempt that it was: %s",
            task[1].partition, task[0], NO_PROCESS_SECONDS, self._trouble,
        )  # fmt: skip
        self._gates.give_back([task])
        self.retries.hold(task, now + NO_PROCESS_SECONDS)

    def _decide(self, task: Task, error: BaseException, now: float) -> None:
        offset, segment, _message, _lane, attempt = task
        age = age_of(attempt, now)
        if isinstance(error, TaskDiedError):
            delay, last = self._quarantine.delay(task, error), False
        else:
            delay = self._policy.delay(error, attempt, age)
            last = delay is None
        if self._gates.excuse(task, error, now, last=last):
            return
        name = plain(names_of(error)[0])
        if delay is None:
            log.error(
                "%s offset %d goes to the dead letters after attempt %d: %s",
                segment.partition, offset, attempt, name, exc_info=error,
            )  # fmt: skip
            self.dead_letters.send(task, error, age)
            return
        log.warning(
            "%s offset %d failed at attempt %d (%s: %s), again in %.1f s",
            segment.partition, offset, attempt, name, text_of(error), delay,
        )  # fmt: skip
        record = self.retry_topics.record(task, delay, age)
        if record is None:
            self.retries.add(task, now + delay, now)
        else:
            self.outbox.send("retry", task, record, self.complete)


def _leave(tasks: Iterable[Task]) -> None:
    """These are not done any more by us: each leaves a gap, which nobody waits for and nothing is committed past."""
    for task in tasks:
        partition = task[1].partition
        partition.given_up = min(partition.given_up, task[0])
