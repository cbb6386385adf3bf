"""What becomes of what handler threads leave to be decided (see `partitions.undecided`): results are sent; a failed task runs
again later, or becomes a dead letter. Until it has its outcome the task stays in flight and keeps its lane, so nothing is
committed past it and its followers wait. Consumer thread only.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Set, Tuple, Type, Union

from kafka_worker.gates.gates import Gates
from kafka_worker.handler.batch import Alone
from kafka_worker.isolation.task_process import TaskDiedError
from kafka_worker.kafka.outgoing.transactions import AnyOutbox, Transactions
from kafka_worker.kafka.properties import Member
from kafka_worker.outcomes.dead_letters import DeadLetters
from kafka_worker.outcomes.results import WHAT as RESULT
from kafka_worker.outcomes.results import ResultSender
from kafka_worker.outcomes.retry import RetryPolicy
from kafka_worker.outcomes.sleeping import RETRY, Sleeping
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import (
    Task,
    age_of,
    attempt_of,
    facts_of,
    finish,
    id_of,
    in_words,
    offset_of,
    partition_of,
    with_attempt,
)
from kafka_worker.partitions.undecided import BatchFailed, Raised, Returned, Undecided
from kafka_worker.pools.runner import Runner
from kafka_worker.pools.scheduled import NotYetError
from kafka_worker.recovery.quarantine import Quarantine
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.foreign.answers import Reject
from kafka_worker.shared.foreign.errors import InabilityError, UndecodableError, UntriedError, class_of, text_of
from kafka_worker.shared.foreign.exceptions import without_traceback
from kafka_worker.shared.ipc.snapshot import WorkCount
from kafka_worker.shared.logs import Seldom
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import room

log = logs.logger(__name__)

PARKED = "parked"
VERDICTS = (Reject, UndecodableError)  # what is said of the message itself, and not because its partition goes
OWN = (*VERDICTS, TaskDiedError, UntriedError)  # what files that some other call has opened do not lead to


class NoFilesError(InabilityError):
    """No file can be opened any more in this process."""


class Counts(NamedTuple):
    """What a report tells of failed tasks."""

    failed: int  # attempts, except those left undone because their partition went away
    retrying: int  # tasks that wait for their next attempt
    dead_letters: int  # stored by this process
    unstored_letters: int  # dead letters that wait to be sent again


class Decisions:
    """The decisions of one process."""

    def __init__(
        self,
        settings: Settings,
        policies: Mapping[str, RetryPolicy],
        pool: Runner,
        outbox: AnyOutbox,
        member: Member,
        clock: Callable[[], float],
        quarantine: Quarantine,
        gates: Gates,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Takes what is undecided from the pool's list, and puts tasks back into their partitions' queues. `policies`: by
        topic."""
        self._gates = gates
        self._policies = policies
        self._pool = pool
        self._clock = clock
        self._quarantine = quarantine
        self._complaint = Seldom(log, clock)
        self._trouble, self._trouble_until = "", clock()
        self._failed = 0
        self._no_files = False  # could be opened when the last call failed
        self._outbox = outbox
        self.sleeping = Sleeping(settings, outbox, self._sent_on, wall)
        self._retries = self.sleeping.schedule
        self.work = outbox.work
        self.transactions = outbox if isinstance(outbox, Transactions) else None
        self._results = ResultSender(outbox, self.complete, pool.undecided.append)
        #: Whose it is by now, if the partition has come again meanwhile (`Ongoing` knows).
        self.taken_over: Callable[[Undecided], List[Task]] = lambda _undecided: []
        suffix, group = settings.dead_letter_suffix, settings.group_id
        self._dead_letters = DeadLetters(outbox, suffix, group, member, self._buried, wall)
        self._decide: Dict[Type[Undecided], Callable[[Any, float], None]] = {
            Raised: self._raised,
            Returned: self._returned,
            BatchFailed: self._batch_failed,
        }

    def turn(self) -> None:
        """Once in a turn of the loop: decide what is undecided, start what is due again, send what is to be sent."""
        now = self._clock()
        while self._pool.undecided:
            undecided = self._pool.undecided.popleft()
            if undecided.partition.closing.forgotten:
                undecided.tasks = self.taken_over(undecided)
                if not undecided.tasks:  # it is not committed, and runs again where the partition went
                    continue
            if not undecided.partition.void or undecided.left():
                self._decide[type(undecided)](undecided, now)
        for task in self._retries.due(now):
            if not self.sleeping.sleeps_on(task, now) and not self._gates.set_aside(task):
                self.requeue([task])
        self._outbox.serve()

    def undecided(self) -> Set[Partition]:
        """The partitions of what was left since the last `turn`: it may become a gap, or has yet to be sent."""
        return {each.partition for each in self._pool.undecided.copy()}

    def waiting(self) -> Set[Partition]:
        """The partitions of what waits for something that we know of: to be decided, for its next attempt, for others to
        succeed."""
        return self.undecided() | self._retries.partitions() | self._gates.waiting()

    def requeue(self, tasks: Iterable[Task]) -> None:
        """Tasks that have waited elsewhere may run now."""
        for task in tasks:
            partition_of(task).queue.put(task)
            self._pool.wake(1)

    def delayed(self, tasks: List[Task]) -> None:
        """Tasks that were just delivered from a retry topic: each waits until it is due."""
        self.sleeping.delayed(tasks, self._clock())

    def take_out(self, partition: Partition, offset: int) -> Optional[Task]:
        """Take out the task of this offset, if it waits for something that we know of and can be had."""
        return (
            self._retries.take_out(partition, offset)
            or self._gates.take_out(partition, offset)
            or self._quarantine.take_out(partition, offset)
            or self._outbox.give_up(partition, offset, (RETRY, RESULT))
        )

    def park(self, task: Task, error: BaseException, attempts: int) -> None:
        """The task becomes a dead letter after so many attempts, through nobody's fault. Nothing else is done with it."""
        self._gates.give_back([task])
        age = age_of(attempt_of(task), self._clock())
        self._dead_letters.send(with_attempt(task, attempts), error, age, PARKED)

    def abandon(self, deadline: float) -> None:
        """Of closed partitions: retries that are not due before the deadline, records that the broker refuses, and suspects
        that wait for their turn leave a gap that nobody will fill."""
        _leave(self._retries.abandon(deadline) + self._outbox.abandon() + self._quarantine.abandon())

    def complete(self, task: Task) -> None:
        """The task has its outcome, because all it had to store is stored: its followers may run."""
        if partition_of(task).closing.forgotten:
            return  # its segment may be somebody else's by now
        self._quarantine.finished(task)
        if finish(task):
            self._pool.wake(1)

    # ---- what others may know -------------------------------------------------------------------------------------

    def retries(self, wanted: Mapping[Partition, int]) -> List[Tuple[Task, float, Optional[float]]]:
        """Those of these offsets that wait for their next attempt, or for their time: each with when it is due (monotonic
        seconds), and that time, if it is what it waits for (seconds since 1970)."""
        return self.sleeping.waiting(wanted, self._clock())

    def unsent(self, wanted: Mapping[Partition, int]) -> List[Tuple[Task, bool]]:
        """Those of these offsets of which something waits to be sent, each with whether the broker has refused it."""
        return self._outbox.find(wanted)

    def behind(self, task: Task) -> str:
        """Why what it sends is not even sent; empty: it is, or waits for no other."""
        partition = partition_of(task)
        waits = self.transactions is not None and offset_of(task) >= self.transactions.reach(partition)
        return "until all before it in its partition is done (DELIVERY=exactly-once)" if waits else ""

    def stuck(self, partition: Partition) -> bool:
        """Whether all that waits to be stored of it waits for others of it, and nothing for the broker."""
        return self.transactions is not None and self.transactions.stuck(partition)

    def highest_unstored(self, partition: Partition) -> int:
        """The highest offset that waits to be stored with the offset itself, and so for all below it; -1: there is none."""
        return self.transactions.highest(partition) if self.transactions else -1

    def next_due(self) -> Optional[float]:
        """When the next waiting task is due (monotonic seconds); None: none waits."""
        return self._retries.next_due()

    def busy(self, now: float) -> bool:
        """Whether to look often: for an answer to what was sent, or for results, of which more will come."""
        return self._outbox.in_transit > 0 or self._results.busy(now)

    def counts(self) -> Counts:
        """What to tell of failed tasks now."""
        unstored = sum(self._dead_letters.waiting.values())
        return Counts(self._failed, len(self._retries), self._dead_letters.count, unstored)

    def waiting_of_topics(self) -> List[WorkCount]:
        """What waits now, by topic."""
        waiting = {"retries_waiting": self._retries.topics(), "dead_letters_unstored": self._dead_letters.waiting}
        return [WorkCount(what, topic, "", count) for what, topics in waiting.items() for topic, count in topics.items()]

    @property
    def trouble(self) -> str:
        """What keeps us from running tasks, or from having them stored, of late; empty: nothing."""
        return self._trouble if self._clock() < self._trouble_until else self._outbox.trouble

    # ---- the three decisions --------------------------------------------------------------------------------------

    def _returned(self, returned: Returned, now: float) -> None:
        if self.transactions is not None:  # it is stored with all below it only
            self._gates.answered(returned.tasks)
        self._results.send(returned, now)

    def _batch_failed(self, batch: BatchFailed, _now: float) -> None:
        """Nobody knows which message has failed the batch: each is called alone now, and no attempt is counted."""
        first = batch.tasks[0]
        self._out_of_files(batch)
        if batch.partition.closing.closed:
            self._leave_undone(batch)
            return
        log.warning(
            "%s: a batch of %d from offset %d on has failed, so each of its messages is called alone",
            batch.partition, len(batch.tasks), offset_of(first), exc_info=batch.error,
            extra=about(Event.BATCH_FAILED, **facts_of(first)),
        )  # fmt: skip
        self._gates.give_back(batch.tasks)
        self.requeue(map(Alone, reversed(batch.tasks)))  # the first one first in either kind of queue

    def _raised(self, raised: Raised, now: float) -> None:
        """The whole decision about a failed task, from the top: the first case that fits decides."""
        task, error = raised.task, raised.error
        no_files = self._out_of_files(raised)  # first: its partition may go away because of that
        if raised.partition.closing.closed and not isinstance(error, VERDICTS):
            self._leave_undone(raised)
            return
        if isinstance(error, NotYetError):
            self._gates.give_back([task])
            self.sleeping.wait_for_its_time(task, now)
            return
        if isinstance(error, InabilityError):
            self._wait_until_able(task, error, now)
            return
        if no_files:
            self._wait_until_able(task, NoFilesError("all files that this process may have are open: it is replaced"), now)
            return
        self._failed += 1
        self.work.add("attempts_failed", raised.partition.topic, class_of(error))
        age = age_of(attempt_of(task), now)
        delay = self._delay(task, error, age)
        last = delay is None and not isinstance(error, TaskDiedError)
        if self._gates.excuse(task, error, now, last=last):
            return  # it is not to blame
        if delay is None:
            self._bury(task, error, age)
        else:
            self._retry(task, error, delay, age, now)

    # ---- what is decided ------------------------------------------------------------------------------------------

    @staticmethod
    def _leave_undone(undone: Union[Raised, BatchFailed]) -> None:
        """Its partition goes away, and the handler was told so: it may have failed because of that. So nothing is counted, and
        it runs again elsewhere as if it had not been tried."""
        first, error = undone.tasks[0], undone.error
        log.info(
            "%s is left undone at attempt %d, which does not count, as its partition goes away: %s: %s",
            in_words(first), attempt_of(first), class_of(error), text_of(error),
            extra=about(Event.ATTEMPT_VOID, **facts_of(first), error_type=class_of(error)),
        )  # fmt: skip
        _leave(undone.tasks)

    def _out_of_files(self, failed: Union[Raised, BatchFailed]) -> bool:
        """Whether no file can be opened any more, so that whatever is called fails: then nobody is to blame except, perhaps,
        what ran at that moment. In the next process this runs apart, so that what each message opens is its own."""
        if isinstance(failed.error, OWN):
            return False
        before, self._no_files = self._no_files, room.out_of_files()
        if self._no_files and not before:
            others = [each for each in self._pool.undecided.copy() if isinstance(each, (Raised, BatchFailed))]
            tasks = [task for each in (failed, *others) if not isinstance(each.error, OWN) for task in each.tasks]
            ran = {id_of(task) for task in (*tasks, *(task for _, task in self._pool.running()))}
            self._quarantine.blame(sorted(ran), "all files that this process may have were open")
        return self._no_files

    def _wait_until_able(self, task: Task, error: InabilityError, now: float) -> None:
        """It is our inability, or the machine's: the task was not tried, and waits as it is."""
        self._trouble = f"{error.what}{error}"
        self._trouble_until = now + 2 * error.again_after
        self._complaint.log(
            logging.ERROR,
            "%s is tried again in %.1f s, as the attempt that it was: %s",
            in_words(task), error.again_after, self._trouble,
            extra=about(Event.NO_TASK_PROCESS if error.what else Event.UNABLE, **facts_of(task), reason=self._trouble),
        )  # fmt: skip
        self._gates.give_back([task])
        self._retries.hold(task, now + error.again_after)

    def _delay(self, task: Task, error: BaseException, age: float) -> Optional[float]:
        """Seconds until the next attempt; None: there is none."""
        if isinstance(error, TaskDiedError):
            return self._quarantine.delay(task, error)
        return self._policy(task).delay(error, attempt_of(task), age)

    def _policy(self, task: Task) -> RetryPolicy:
        return self._policies[partition_of(task).queue.topic]

    def _bury(self, task: Task, error: BaseException, age: float) -> None:
        shown = without_traceback(error) if isinstance(error, UndecodableError) else error
        log.error(
            "%s goes to the dead letters after attempt %d: %s",
            in_words(task), attempt_of(task), class_of(error), exc_info=shown,
            extra=about(Event.DEAD_LETTER, **facts_of(task)),
        )  # fmt: skip
        self._dead_letters.send(task, error, age, self._policy(task).reason(error))

    def _buried(self, task: Task, reason: str) -> None:
        topic = partition_of(task).topic
        self.work.add("dead_letters", topic, reason)
        self.work.add("tasks", topic, PARKED if reason == PARKED else "dead_letter")
        self.complete(task)

    def _retry(self, task: Task, error: BaseException, delay: float, age: float, now: float) -> None:
        log.warning(
            "%s failed at attempt %d (%s: %s), again in %.1f s",
            in_words(task), attempt_of(task), class_of(error), text_of(error), delay,
            extra=about(Event.ATTEMPT_FAILED, **facts_of(task), error_type=class_of(error)),
        )  # fmt: skip
        self.sleeping.retry(task, delay, age, now)

    def _sent_on(self, task: Task) -> None:
        self.work.add("tasks", partition_of(task).topic, "retry_topic")
        self.complete(task)


def _leave(tasks: Iterable[Task]) -> None:
    """We will not do these any more: each leaves a gap, which nobody waits for and nothing is committed past."""
    for task in tasks:
        partition_of(task).closing.abandon(offset_of(task))
