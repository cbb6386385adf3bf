"""Records that the outcome of a task depends on: dead letters, retries that take the long way, results. Each is produced
idempotently, and its task may count as done only when the broker has acknowledged it. One that can't be stored is sent again
and again; its task stays in flight, and its partition is held: fetched no more, until all such records of it are stored.

Brokers take or refuse whole batches, and do not say for which of their records. So what is refused for anything that may be
a record's own fault is sent once more at once, alone and as small as can be (`alone`): the innocent are stored, one that was
only compressed worse than it came is too, and of one whose time is refused the time of now is taken.

Of several records of a task none goes out before those that come before it, as long as it is the client that has no room or
says no.

Consumer thread only: the producer's callbacks run inside `serve`.
"""

from __future__ import annotations

import itertools
import time
from typing import Any, Callable, Collection, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from confluent_kafka import KafkaError, Producer

from kafka_worker.kafka.client_log import client_log
from kafka_worker.kafka.outgoing.record import Failed, OutgoingRecord
from kafka_worker.kafka.outgoing.refusals import MENDABLE, RESEND_SECONDS, Unstored, error_of, remedy, say_of_time
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task, partition_of
from kafka_worker.shared import logs
from kafka_worker.shared.ipc.work import Work
from kafka_worker.shared.logs import Seldom
from kafka_worker.shared.output.last_words import MAKING_CLIENT, while_
from kafka_worker.shared.producing import alone

log = logs.logger(__name__)

SILENT_SECONDS = 5.0  # so long a record may wait for its answer before that is told: a client tries for 30
ROOM_SECONDS = 0.1  # until a record is offered again for which the client's own queue had no room


UNANSWERED = (
    "a {} for {} has had no answer for {:.0f} s: a broker is slow, or that topic has too few replicas in sync "
    "(min.insync.replicas)"
)


class _Letter:
    """A record on its way, until it is stored."""

    __slots__ = ("alone", "failed", "record", "refused", "stored", "task", "what")

    def __init__(
        self, what: str, task: Task, record: OutgoingRecord, stored: Callable[[Task], None], failed: Optional[Failed] = None
    ) -> None:
        self.what = what
        self.task = task
        self.record = record
        self.stored = stored
        self.failed = failed
        self.refused = False  # at least once, and so it counts as unstored
        self.alone = False  # not to be sent with others

    @property
    def partition(self) -> Partition:
        """The partition of its task."""
        return partition_of(self.task)


def create_producer(properties: Dict[str, Any]) -> Producer:
    """A Kafka producer with these librdkafka properties, its log going the way of ours."""
    with while_(MAKING_CLIENT):
        return Producer(properties, logger=client_log)


class _Client:
    """A producer: made with its first record, and made anew when it can't go on."""

    def __init__(self, properties: Dict[str, Any], make: Callable[[Dict[str, Any]], Producer]) -> None:
        self._properties = properties
        self._make = make
        self._producer: Optional[Producer] = None
        self.broken = False  # the producer has met a fatal error, and takes nothing any more
        self.in_transit = 0  # sent and not answered

    def producer(self) -> Producer:
        """The one to send by."""
        if self.broken and not self.in_transit:  # an idempotent producer never recovers from a fatal error; another may
            self._producer, self.broken = None, False
        if self._producer is None:
            self._producer = self._make(self._properties)
        return self._producer

    def poll(self) -> None:
        """Receive acknowledgements."""
        if self._producer is not None:
            self._producer.poll(0)


class Outbox:
    """Sends records, and says when each is stored."""

    def __init__(
        self,
        properties: Dict[str, Any],
        clock: Callable[[], float] = time.monotonic,
        make: Callable[[Dict[str, Any]], Producer] = create_producer,
    ) -> None:
        """`properties`: librdkafka's, for the producer that `make` makes; `clock`: monotonic seconds."""
        self._clock = clock
        # Most processes never use either.
        self._usual, self._alone = _Client(properties, make), _Client(alone(properties), make)
        self._again: List[Tuple[float, List[_Letter]]] = []  # each list in its order
        self._under_way: Dict[_Letter, float] = {}  # sent and not answered, and since when, in this order
        self._complaint = Seldom(log, clock)
        self.unstored = Unstored(self._complaint)
        self.work = Work()  # for whoever else counts what is done, too

    def send(self, what: str, task: Task, record: OutgoingRecord, stored: Callable[[Task], None]) -> None:
        """Produce a record on behalf of a task; come what may, it ends stored or is sent again. `stored(task)` is called from
        `serve` when the broker has acknowledged it, also when the task's partition is not ours any more. `what` says in the
        log what it is ("dead letter")."""
        self._produce([_Letter(what, task, record, stored)])

    def send_all(
        self,
        what: str,
        tasks: Sequence[Task],
        records: Sequence[OutgoingRecord],
        stored: Callable[[Task], None],
        failed: Failed,
    ) -> None:
        """Send several records of one call, in this order; `stored` is called for each, with the lowest of its tasks: of a
        batch whose records are given up, nothing from there on is waited for. When the client can't take one of them as it
        is, `failed` is called, and that one and those behind it are not sent."""
        lowest = min(tasks)
        self._produce([_Letter(what, lowest, record, stored, failed) for record in records])

    @property
    def in_transit(self) -> int:
        """How many were sent and not answered."""
        return self._usual.in_transit + self._alone.in_transit

    @property
    def trouble(self) -> str:
        """What has no answer for long; empty: all has."""
        for letter, since in self._under_way.items():
            seconds = self._clock() - since
            if seconds < SILENT_SECONDS:
                break
            if not letter.refused:  # else that is told
                return UNANSWERED.format(letter.what, letter.record.topic, seconds)
        return ""

    def find(self, wanted: Mapping[Partition, int]) -> List[Tuple[Task, bool]]:
        """Those of these offsets of which something waits to be sent again, each with whether it was refused."""
        waiting = [letters[0] for _, letters in self._again if wanted.get(letters[0].partition) == letters[0].task[0]]
        return [(letter.task, letter.refused) for letter in waiting]

    def give_up(self, partition: Partition, offset: int, kinds: Collection[str]) -> Optional[Task]:
        """The task of this offset, if something of these kinds waits to be sent again for it, and nothing of its partition is
        under way. It is not sent any more."""
        waiting = [letters for _, letters in self._again if letters[0].partition is partition and letters[0].task[0] == offset]
        if not waiting or partition.flow.in_transit or any(letters[0].what not in kinds for letters in waiting):
            return None
        self._again = [each for each in self._again if each[1] not in waiting]
        for letter in itertools.chain.from_iterable(waiting):
            self.unstored.remove(letter)
        return waiting[0][0].task

    def serve(self) -> None:
        """Receive acknowledgements, and send again what could not be stored."""
        self._usual.poll()
        self._alone.poll()
        if self._again:
            now = self._clock()
            due = [letters for at, letters in self._again if at <= now]
            self._again = [waiting for waiting in self._again if waiting[0] > now]
            for letters in _by_task(due):
                self._produce(letters)

    def abandon(self) -> List[Task]:
        """The tasks of closed partitions whose records were refused and wait to be sent again: they are not. Whoever gets the
        partition next runs the task again; nobody should wait for a topic that may be missing for hours."""
        hopeless = [letter for _, letters in self._again for letter in letters if letter.partition.closing.closed]
        self._again = [waiting for waiting in self._again if not waiting[1][0].partition.closing.closed]
        for letter in hopeless:
            self.unstored.remove(letter)
        return [letter.task for letter in hopeless]

    def _produce(self, letters: List[_Letter]) -> None:
        """Produce all records of one task, in this order."""
        for place, letter in enumerate(letters):
            if letter.partition.closing.forgotten:
                self.unstored.remove(letter)
                continue  # whoever owns the partition now decides about it
            try:
                self._hand_over(letter)
            except BufferError:
                if not self._of(letter).in_transit:  # nothing is in its way: it is larger than that client's whole queue
                    for each in letters[place:]:
                        each.alone = True
                self._again.append((self._clock() + ROOM_SECONDS, letters[place:]))
                return
            except Exception as problem:  # whatever it is, it must not end our thread
                self._not_taken(letters[place:], problem)
                return
            letter.partition.flow.sent()

    def _hand_over(self, letter: _Letter) -> None:
        record, client = letter.record, self._of(letter)
        client.producer().produce(
            record.topic,
            value=record.value,
            key=record.key,
            headers=record.headers,
            timestamp=record.timestamp,
            on_delivery=lambda problem, _report: self._answered(client, letter, problem),
        )
        client.in_transit += 1
        self._under_way[letter] = self._clock()

    def _of(self, letter: _Letter) -> _Client:
        return self._alone if letter.alone else self._usual

    def _not_taken(self, letters: List[_Letter], problem: Exception) -> None:
        """The client has refused the first of them at once."""
        told = error_of(problem)
        failed = letters[0].failed
        if failed is None or told.fatal() or told.name() in MENDABLE:
            self._heard(self._of(letters[0]), letters, told)
            return
        for letter in letters:
            self.unstored.remove(letter)
        failed(problem)

    def _answered(self, client: _Client, letter: _Letter, problem: Optional[KafkaError]) -> None:
        """The producer's callback. It must not raise: that would surface in `poll`, far from here."""
        client.in_transit -= 1
        self._under_way.pop(letter, None)
        letter.partition.flow.answered()
        if problem is not None:
            self._heard(client, [letter], problem)
            return
        self.work.add("messages_sent", "", letter.record.topic)
        self.unstored.stored(letter)
        letter.stored(letter.task)

    def _heard(self, client: _Client, letters: List[_Letter], problem: KafkaError) -> None:
        """A client, or the broker, has refused the first of these, and the others wait behind it."""
        client.broken = client.broken or problem.fatal() or problem.name() == "_FATAL"
        if self._otherwise(letters[0], problem):
            self._produce(letters)
        else:
            self._refused(letters, problem)

    def _otherwise(self, letter: _Letter, problem: KafkaError) -> bool:
        """Whether it may be taken in another way, for which it is ready now."""
        if problem.fatal() or problem.name() in MENDABLE:
            return False
        if not letter.alone:
            letter.alone = True
            return True
        if problem.name() != "INVALID_TIMESTAMP" or not letter.record.timestamp:
            return False
        say_of_time(self._complaint, letter.task, letter.what, letter.record, problem)
        letter.record = letter.record._replace(timestamp=0)
        return True

    def _refused(self, letters: List[_Letter], problem: KafkaError) -> None:
        """The first of them can't be stored, and the others wait behind it."""
        self.unstored.add(letters[0], letters[0].record.topic, problem, remedy(problem))
        self._again.append((self._clock() + RESEND_SECONDS, letters))


def _by_task(due: List[List[_Letter]]) -> Iterable[List[_Letter]]:
    """What is due, with what is of the same task in one list."""
    lists: Dict[int, List[_Letter]] = {}
    for letters in due:
        lists.setdefault(id(letters[0].task), []).extend(letters)
    return lists.values()
