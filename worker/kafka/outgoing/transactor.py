"""One transaction after the other: a producer, and the thread that waits for it. That thread touches nothing else but the job
it was given; all else belongs to the consumer thread.

What can't be told is whether a transaction was committed, when the client gives up in the midst of that, or makes no end of
it. Then nothing more is done here: the process ends, and the next one asks the broker. Before that nothing is committed, and
another producer may take the place of this one at any time: it has the brokers abort what is open.

That is needed. A broker that was away is a new one to the client (librdkafka 2.16), which keeps the former as the group's
coordinator, and as that of transactions, and waits for it. So `send_offsets_to_transaction` does not come back, whatever time
it was given (60 s, and again the next time: see `another`), and `abort_transaction` says that it takes longer, again and again
(see `_soon`).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from functools import partial
from queue import SimpleQueue
from typing import Any, Callable, Deque, Dict, Iterable, List, Optional, Sequence, Set, Tuple, TypeVar

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import TopicPartition as ClientPartition

from kafka_worker.kafka.client_log import client_log
from kafka_worker.kafka.outgoing.outbox import ROOM_SECONDS
from kafka_worker.kafka.outgoing.record import Failed, OutgoingRecord
from kafka_worker.kafka.outgoing.refusals import error_of
from kafka_worker.partitions.task import Task, offset_of, partition_of
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about

log = logs.logger(__name__)
# That one was not committed is told by us, by what it means: in a rebalance it is routine.
client_log.addFilter(lambda record: "TXNERR" not in record.getMessage())

STEP_SECONDS = 5.0  # of one call of the client
TRIES = 2  # of a call that has no answer by then, before another client is tried
MADE_SECONDS = 0.3  # until a topic is looked for once more: one made a moment ago may not have reached every broker

#: Which say of a topic that nothing can be stored there, whatever it is.
OF_TOPIC = frozenset({
    "UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION", "TOPIC_AUTHORIZATION_FAILED", "LEADER_NOT_AVAILABLE",
})  # fmt: skip

_PURGED = ("_PURGE_QUEUE", "_PURGE_INFLIGHT")
_OF_A_TOPIC = ("TOPIC_AUTHORIZATION_FAILED", "UNKNOWN_TOPIC_OR_PART", "INVALID_TOPIC_EXCEPTION")

T = TypeVar("T")
OffsetToCommit = Tuple[str, int, int, str]  # topic, partition, offset and metadata


class Parcel:
    """All that one call of a handler sends, on behalf of its task, or of those of its batch."""

    __slots__ = (
        "again_at",
        "at_once",
        "failed",
        "offsets",
        "partition",
        "problem",
        "records",
        "refused",
        "stored",
        "task",
        "topic",
        "what",
    )

    def __init__(
        self,
        what: str,
        tasks: Sequence[Task],
        records: Sequence[OutgoingRecord],
        stored: Callable[[Task], None],
        failed: Optional[Failed] = None,
    ) -> None:
        """As `Outbox.send_all` takes it."""
        self.what = what
        self.task = min(tasks)
        self.partition = partition_of(self.task)
        self.offsets = sorted(map(offset_of, tasks))
        self.records = list(records)
        self.stored = stored
        self.failed = failed
        self.refused = False  # at least once, and so it counts as unstored
        self.again_at = 0.0  # not before, in monotonic seconds
        self.problem: Optional[KafkaError] = None  # what was said of one of its records
        self.topic = self.records[0].topic if self.records else ""  # where that one was to go
        self.at_once = False  # by the client itself


class Job:
    """One transaction."""

    def __init__(self, parcels: List[Parcel], places: List[OffsetToCommit], group_metadata: Any) -> None:
        """`group_metadata`: by which a broker knows who has lost its partitions."""
        self.parcels = parcels
        self.places = places
        self.group_metadata = group_metadata
        self.error: Optional[KafkaError] = None  # None once it is over: it was committed


class Transactor:
    """The producer, and the thread that waits for it."""

    def __init__(self, properties: Dict[str, Any], client: Callable[..., Any] = Producer) -> None:
        """Nothing runs before `start`."""
        self._properties = properties
        self._client = client
        self._producer: Any = None
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._started = False
        self._there: Set[str] = set()  # topics that were found
        self.over: Deque[Job] = deque()
        self.waits = ""  # why the client has no answer yet; empty: it did not take long
        self.step = 0  # the number of what the thread does now, at most one call of the client; 0: it has nothing to do
        self._steps = 0
        self.committing = False  # what became of the transaction may be known to brokers only
        self._abandoned = False
        self.lost = ""  # why nobody knows what became of the last transaction; empty: it is known

    def start(self) -> None:
        """Have the producer: by that a transaction which a process before us has left open is aborted."""
        if not self._started:
            self._started = True
            threading.Thread(target=self._run, name="transactions", daemon=True).start()

    def do(self, job: Job) -> None:
        """Commit it, or tell why not."""
        self._jobs.put(job)

    def another(self) -> Optional[Transactor]:
        """One in its place, as its client does not come back. None: that may have committed a transaction."""
        self._abandoned = True  # before the look at the other: the thread looks and sets the other way round
        return None if self.committing else Transactor(self._properties, self._client)

    def _run(self) -> None:
        try:
            self._begin()
        except Exception as problem:
            log.warning("Transactions can't begin yet: %s", problem, extra=about(Event.CLIENT_TROUBLE))
        while not self.lost:
            self.step = 0
            job = self._jobs.get()
            self._next_step()
            job.error = self.attempt(job)
            self.over.append(job)
            self.committing = bool(self.lost)  # behind it: who sees no commit under way finds the job over, and knows of it

    def _next_step(self) -> None:
        if self._abandoned:
            raise SystemExit  # of this thread: its job is another's now
        self._steps += 1
        self.step = self._steps

    def _called(self, call: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """What a call gives that may wait. Whoever looks from outside sees how long it takes, and the end of a client, too."""
        self._next_step()
        try:
            return call(*arguments, **named)
        finally:
            self._next_step()

    def attempt(self, job: Job) -> Optional[KafkaError]:
        """One try; None: it is committed."""
        try:
            producer = self._begin()
            absent = self._absent(producer, job.parcels)
            if absent is not None:
                return absent
            producer.begin_transaction()
        except Exception as problem:  # whatever the client says of its properties
            self._producer = None
            return error_of(problem)
        thrown_away: List[Parcel] = []
        try:
            for parcel in job.parcels:
                for record in parcel.records:
                    self._produce(producer, parcel, record)
            while self._called(producer.flush, STEP_SECONDS):
                pass  # each message has its own time
            thrown_away = _thrown_away(job.parcels)
            _none_refused(job.parcels)
            offsets = [ClientPartition(*place) for place in job.places]
            self._soon(partial(producer.send_offsets_to_transaction, offsets, job.group_metadata))
            if thrown_away:  # by now the client has said why; whatever it says, the offset does not go without them
                raise KafkaException(KafkaError(KafkaError._PURGE_QUEUE, "records were thrown away"))  # noqa: SLF001, TRY301
        except Exception as problem:  # whatever the client says of a record or an offset
            error = self._given_up(producer, error_of(problem))
            _thrown_away(job.parcels)  # with the transaction, for the fault of another
            for parcel in thrown_away if error.name() in _OF_A_TOPIC else ():
                perhaps = KafkaError(KafkaError._PURGE_QUEUE, error.str())  # noqa: SLF001 (its public name)
                parcel.problem = error if len(job.parcels) == 1 else perhaps
            return error
        return self._ended(producer)

    def _soon(self, call: Callable[[float], Any]) -> None:
        """Until it has an answer, but not for ever. Raises what is one, and what it says that takes too long."""
        for left in reversed(range(TRIES)):
            try:
                self._called(call, STEP_SECONDS)
            except KafkaException as problem:
                if not (left and problem.args[0].retriable()):
                    raise
                self.waits = error_of(problem).str()
            else:
                self.waits = ""
                return

    def _begin(self) -> Any:
        if self._producer is None:
            producer = self._called(self._client, self._properties, logger=client_log)
            self._soon(producer.init_transactions)
            self._producer = producer
        return self._producer

    def _absent(self, producer: Any, parcels: List[Parcel]) -> Optional[KafkaError]:
        """What is said of a topic in which nothing can be stored now, noted with each who wants it. Else the client would say
        so after `topic.metadata.propagation.max.ms` or `message.timeout.ms`, and all others would wait for that."""
        wanted = {record.topic for parcel in parcels for record in parcel.records} - self._there
        missing = self._missing(producer, sorted(wanted))
        if missing:
            time.sleep(MADE_SECONDS)
            missing = self._missing(producer, missing)
        for topic, problem in missing.items():
            for parcel in parcels:
                if any(record.topic == topic for record in parcel.records):
                    parcel.problem, parcel.topic = problem, topic
        return next((parcel.problem for parcel in parcels if parcel.problem is not None), None)

    def _missing(self, producer: Any, topics: Iterable[str]) -> Dict[str, KafkaError]:
        """Those of these in which nothing can be stored now. The client asks as for a record, so a topic is made only where
        brokers make those that are written to."""
        missing: Dict[str, KafkaError] = {}
        for topic in topics:
            try:
                found = self._called(producer.list_topics, topic, STEP_SECONDS).topics[topic]
            except KafkaException:  # nobody answers, nor would for the others: the next step finds that out, too
                break
            told: Optional[KafkaError] = found.error
            if told is None and any(partition.leader < 0 for partition in found.partitions.values()):
                told = KafkaError(KafkaError.LEADER_NOT_AVAILABLE)
            if told is None:
                self._there.add(topic)
            elif told.name() in OF_TOPIC:
                missing[topic] = told
        return missing

    def _produce(self, producer: Any, parcel: Parcel, record: OutgoingRecord) -> None:
        def answered(problem: Optional[KafkaError], _message: Any) -> None:
            if problem is not None and parcel.problem is None and not self._abandoned:
                parcel.problem, parcel.topic = problem, record.topic

        while True:
            try:
                producer.produce(
                    record.topic, value=record.value, key=record.key, headers=record.headers, timestamp=record.timestamp,
                    on_delivery=answered,
                )  # fmt: skip
            except BufferError:
                self._called(producer.poll, ROOM_SECONDS)
            except Exception as problem:
                parcel.problem, parcel.topic, parcel.at_once = error_of(problem), record.topic, True
                raise
            else:
                producer.poll(0)
                return

    def _given_up(self, producer: Any, error: KafkaError) -> KafkaError:
        self._there.clear()  # one of them may be gone
        try:
            self._soon(producer.abort_transaction)
        except KafkaException as problem:  # it was not committed, and whoever begins anew makes sure of that
            log.warning("A transaction could not be aborted: %s", problem, extra=about(Event.CLIENT_TROUBLE))
            self._producer = None
        return error

    def _ended(self, producer: Any) -> Optional[KafkaError]:
        self.committing = True
        self._next_step()
        while True:
            try:
                producer.commit_transaction(STEP_SECONDS)
            except KafkaException as problem:
                error = error_of(problem)
                self.waits = error.str()
                if problem.args[0].retriable():
                    continue
                if error.txn_requires_abort():
                    self.committing = False
                    return self._given_up(producer, error)
                self.lost = error.str()
                return error
            self.waits = ""
            return None


def _thrown_away(parcels: List[Parcel]) -> List[Parcel]:
    """Those of which the client has thrown a record away. What brokers say of a topic before anything is sent there costs all
    records of the transaction so, and each may be the one; what else ends one (the id of a producer that has been idle for a
    week) is nobody's fault."""
    found = [parcel for parcel in parcels if parcel.problem is not None and parcel.problem.name() in _PURGED]
    for parcel in found:
        parcel.problem = None
    return found


def _none_refused(parcels: List[Parcel]) -> None:
    for parcel in parcels:
        if parcel.problem is not None:
            raise KafkaException(parcel.problem)
