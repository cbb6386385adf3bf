"""Exactly once, as far as Kafka can give it: what a task sends and the offset behind it are committed in one transaction, so
that who reads what is committed never sees a result twice, however often its task ran. In the place of the `Outbox`, and of
the consumer's own commits: both would be a second way for what belongs together.

Tasks end in any order, and a commit is a watermark. So what a task sends waits here until everything below it has its outcome,
or is ready too: the transaction has the new offset, and the records of all tasks below it. Until it is committed these tasks
are in flight and keep their lanes, and a crash runs them again: nobody has seen what they sent.

Consumer thread only; the waiting is done by a `Transactor`.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Callable, Collection, Deque, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple, Union

from confluent_kafka import KafkaError, KafkaException

from kafka_worker.kafka.outgoing.outbox import Outbox
from kafka_worker.kafka.outgoing.record import Failed, OutgoingRecord
from kafka_worker.kafka.outgoing.refusals import MENDABLE, RESEND_SECONDS, Unstored, remedy, say_of_time
from kafka_worker.kafka.outgoing.transactor import OF_TOPIC, STEP_SECONDS, Job, OffsetToCommit, Parcel, Transactor
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task, offset_of
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.ipc.work import Work
from kafka_worker.shared.logs import Seldom
from kafka_worker.shared.system.awake import AwakeClock

log = logs.logger(__name__)

PAUSE_SECONDS = 0.2  # after a transaction that was not committed
TROUBLE_SECONDS = 5.0  # so long may none be committed before it is told
NO_RETURN_SECONDS = 2 * STEP_SECONDS  # in which the client must come back from a call
COMMIT_SECONDS = 60.0  # in which it must say what became of a commit, while brokers answer
SILENT = "the brokers do not answer, or have too few replicas in sync (min.insync.replicas)"

#: What was committed, and if nothing was, why, where that is not the fault of a record.
Answer = Tuple[List[Tuple[str, int, int]], Optional[KafkaError]]


class Transactions:
    """What waits to be committed, and the transaction under way. What it has in common with an `Outbox`, others know it by."""

    def __init__(self, transactor: Transactor, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: monotonic seconds."""
        self._transactor = transactor
        self._clock = clock
        self._parcels: Dict[Partition, List[Parcel]] = {}
        self._in_doubt: Set[Parcel] = set()  # a transaction with them was refused, and perhaps because of them
        self._absent: Dict[str, float] = {}  # topics that are not there, and until when they are not looked for again
        self._job: Optional[Job] = None
        self._complaint = Seldom(log, clock)
        self._not_before = self._begun_at = 0.0  # the next one, and the one under way
        self._awake = AwakeClock(clock())
        self._step = (0, 0.0)  # the transactor's at the last look, and since when, in awake seconds
        self._failing: Tuple[float, str] = (0.0, "")  # since when, and why; empty: the last one was committed
        self.unstored = Unstored(self._complaint)
        self.work = Work()
        self.answers: Deque[Answer] = deque()

    # ---- as an outbox ---------------------------------------------------------------------------------------------

    def send(self, what: str, task: Task, record: OutgoingRecord, stored: Callable[[Task], None]) -> None:
        """As `Outbox.send`."""
        self._add(Parcel(what, [task], [record], stored))

    def send_all(
        self,
        what: str,
        tasks: Sequence[Task],
        records: Sequence[OutgoingRecord],
        stored: Callable[[Task], None],
        failed: Failed,
    ) -> None:
        """As `Outbox.send_all`."""
        self._add(Parcel(what, tasks, records, stored, failed))

    @property
    def in_transit(self) -> int:
        """Whether an answer is waited for: what waits for others may do so for hours."""
        return int(self._job is not None)

    def find(self, wanted: Mapping[Partition, int]) -> List[Tuple[Task, bool]]:
        """Those of these offsets of which something waits, each with whether it was refused."""
        return [
            (parcel.task, parcel.refused)
            for partition, offset in wanted.items()
            for parcel in self._parcels.get(partition, ())
            if offset_of(parcel.task) == offset
        ]

    def give_up(self, partition: Partition, offset: int, kinds: Collection[str]) -> Optional[Task]:
        """As `Outbox.give_up`. What is under way can't be taken back."""
        under_way = self._job.parcels if self._job else []
        waiting = [each for each in self._parcels.get(partition, ()) if each.offsets == [offset] and each not in under_way]
        if not waiting or any(parcel.what not in kinds for parcel in waiting):
            return None
        for parcel in waiting:
            self._remove(parcel)
        return waiting[0].task

    def serve(self) -> None:
        """Take what the thread has done."""
        while self._transactor.over:
            self._over(self._transactor.over.popleft())
        for partition in [each for each in self._parcels if each.closing.forgotten]:
            for parcel in list(self._parcels[partition]):
                self._remove(parcel)  # whoever owns the partition now decides about it

    def abandon(self) -> List[Task]:
        """The tasks of closed partitions whose records can't be stored now, or only behind what nobody will do any more."""
        under_way = self._job.parcels if self._job else []
        hopeless = [
            parcel
            for partition in self._parcels
            if partition.closing.closed
            for parcel in self._parcels[partition]
            if parcel not in under_way and (parcel.refused or parcel.offsets[-1] >= self._limit(partition))
        ]
        for parcel in hopeless:
            self._remove(parcel)
        return [parcel.task for parcel in hopeless]

    def _limit(self, partition: Partition) -> float:
        """From there on nothing more will be stored of a closed partition."""
        return max(partition.closing.abandoned_from, self.reach(partition))

    def highest(self, partition: Partition) -> int:
        """The highest offset of what waits of this partition: like what runs, it is worth the wait for all below it; -1: there
        is nothing."""
        return max((parcel.offsets[-1] for parcel in self._parcels.get(partition, ())), default=-1)

    # ---- as commits -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """The seat is ours."""
        self._transactor.start()

    @property
    def free(self) -> bool:
        """Whether another may begin: none is under way, and the last one that was not committed is a moment ago."""
        return self._job is None and self._clock() >= self._not_before

    @property
    def ready(self) -> bool:
        """Whether something waits that a transaction could store now."""
        return self.free and any(self.reach(partition) > partition.tracker.watermark() for partition in self._parcels)

    def stuck(self, partition: Partition) -> bool:
        """Whether what waits of this partition waits for others of it, and neither for brokers nor for other partitions."""
        return self._job is None and not self._in_doubt and self.reach(partition) <= partition.tracker.watermark()

    @property
    def lost(self) -> str:
        """Why nobody knows what became of the last transaction; empty: it is known."""
        return self._transactor.lost

    def hangs(self) -> bool:
        """Whether the client makes no end of a commit, so that only another process can find out what became of it. From any
        other call none need come back: another client takes its place. To be asked in each turn in which brokers answer."""
        now, step = self._awake.tick(self._clock()), self._transactor.step
        if step != self._step[0]:
            self._step = step, now
        if not step or now - self._step[1] < (COMMIT_SECONDS if self._transactor.committing else NO_RETURN_SECONDS):
            return False
        former, another = self._transactor, self._transactor.another()
        if another is None:
            return True
        log.warning(
            "The client does not come back from a call: another takes its place, and nothing of it is committed",
            extra=about(Event.CLIENT_TROUBLE),
        )
        self._transactor, self._step = another, (0, now)
        another.start()
        if former.over:  # it has come back this moment
            self._over(former.over.popleft())
        elif self._job is not None:
            self._job.error = KafkaError(KafkaError._TIMED_OUT, "the client does not come back")  # noqa: SLF001
            self._over(self._job)
        return False

    @property
    def trouble(self) -> str:
        """Why none has been committed for a while; empty: that is not so."""
        now, (since, why) = self._clock(), self._failing
        if self._job is not None and now - self._begun_at >= TROUBLE_SECONDS:
            return f"a transaction has no end: {self._transactor.waits or SILENT}"
        return f"no transaction is committed: {why}" if why and now - since >= TROUBLE_SECONDS else ""

    def reach(self, partition: Partition) -> int:
        """Up to which offset all is done, or ready to be stored with the offset itself."""
        low = partition.tracker.watermark()
        mine = self._parcels.get(partition, ())
        if not mine:
            return low
        together = self._doubted()
        return self._high(partition, [each for each in mine if (each in together if together else each not in self._in_doubt)])

    def _high(self, partition: Partition, parcels: Iterable[Parcel]) -> int:
        """The same, where these are to be stored."""
        low, now = partition.tracker.watermark(), self._clock()
        ready = {offset: parcel for parcel in parcels if self._may_try(parcel, now) for offset in parcel.offsets}
        done = dict(partition.tracker.done_beyond(low))
        high = low
        while high in ready or high in done:
            high = done.get(high, high + 1)
        # A batch is stored as a whole: its results say nothing of a part of it.
        split = [parcel.offsets[0] for parcel in ready.values() if parcel.offsets[0] < high <= parcel.offsets[-1]]
        while split:
            high = min(split)
            split = [parcel.offsets[0] for parcel in ready.values() if parcel.offsets[0] < high <= parcel.offsets[-1]]
        return high

    def _may_try(self, parcel: Parcel, now: float) -> bool:
        return parcel.again_at <= now and not (
            self._absent and any(self._absent.get(record.topic, now) > now for record in parcel.records)
        )

    def commit(self, places: List[OffsetToCommit], group_metadata: Any) -> bool:
        """Commit these offsets, with all that the tasks below them send. The answer comes by `answers`. False: none may
        begin now."""
        if not self.free:
            return False
        targets = {(topic, number): offset for topic, number, offset, _ in places}
        parcels = [
            parcel
            for partition, waiting in self._parcels.items()
            for parcel in sorted(waiting, key=lambda each: each.offsets)
            if parcel.offsets[-1] < targets.get(partition.name, -1) and not partition.closing.forgotten
        ]
        self._job, self._begun_at = Job(parcels, places, group_metadata), self._clock()
        self._transactor.do(self._job)
        return True

    # ---- what becomes of it ---------------------------------------------------------------------------------------

    def _over(self, job: Job) -> None:
        self._job = None
        if job.error is None:
            self._failing = (0.0, "")
            for parcel in job.parcels:
                self._remove(parcel, stored=True)
                for record in parcel.records:
                    self.work.add("messages_sent", "", record.topic)
                    parcel.stored(parcel.task)
            self.answers.append(([(topic, number, offset) for topic, number, offset, _ in job.places], None))
            return
        log.debug("A transaction was not committed: %s", job.error)
        now = self._clock()
        self._absent = {topic: until for topic, until in self._absent.items() if until > now}
        self._not_before = now + PAUSE_SECONDS
        blamed = [(parcel, parcel.problem) for parcel in job.parcels if parcel.problem is not None]
        since = self._failing[0] if self._failing[1] else now
        self._failing = (0.0, "") if blamed else (since, job.error.str())  # whose partition is held is told otherwise
        self.answers.append(([], None if blamed else job.error))
        single = len({parcel.partition for parcel in job.parcels}) == 1 and len(_inseparable(job.parcels)) == len(job.parcels)
        for parcel, problem in blamed:
            parcel.problem = None
            self._doubt(parcel, problem, single=single)
            parcel.at_once = False  # as the problem, of this try

    def _doubt(self, parcel: Parcel, problem: KafkaError, *, single: bool) -> None:
        """Brokers refuse whole batches, and a transaction with them: who it was is known when it was alone (`single`)."""
        if parcel.partition.closing.forgotten:
            return  # whoever owns the partition now decides about it
        if parcel.failed is not None and parcel.at_once and problem.name() not in MENDABLE:
            self._remove(parcel)
            parcel.failed(KafkaException(problem))
        elif problem.name() in OF_TOPIC:  # that is said of no other in its batch
            self._refused(parcel, problem)
            self._absent[parcel.topic] = parcel.again_at
        elif not single:
            self._in_doubt.add(parcel)
        elif problem.name() == "INVALID_TIMESTAMP" and any(record.timestamp for record in parcel.records):
            for record in filter(lambda each: each.timestamp, parcel.records):
                say_of_time(self._complaint, parcel.task, parcel.what, record, problem)
            parcel.records = [record._replace(timestamp=0) for record in parcel.records]
        else:
            self._in_doubt.add(parcel)  # until it is stored: no other is to be refused with it
            self._refused(parcel, problem)

    def _refused(self, parcel: Parcel, problem: KafkaError) -> None:
        """It can't be stored, and is tried again."""
        parcel.again_at = self._clock() + RESEND_SECONDS
        self.unstored.add(parcel, parcel.topic, problem, _remedy(problem))

    def _doubted(self) -> List[Parcel]:
        """One that a transaction was refused with, and that could be stored now, with those that can't be stored apart from
        it; empty: there is none."""
        for partition in sorted({parcel.partition for parcel in self._in_doubt}, key=str):
            together = _inseparable(self._parcels[partition])
            if not self._in_doubt.isdisjoint(together) and self._high(partition, together) > max(
                parcel.offsets[-1] for parcel in together
            ):
                return together
        return []

    def _add(self, parcel: Parcel) -> None:
        if parcel.partition.closing.forgotten:
            return  # whoever owns the partition now decides about it
        self._parcels.setdefault(parcel.partition, []).append(parcel)
        parcel.partition.flow.sent()

    def _remove(self, parcel: Parcel, *, stored: bool = False) -> None:
        waiting = self._parcels.get(parcel.partition, [])
        if parcel not in waiting:
            return
        waiting.remove(parcel)
        self._in_doubt.discard(parcel)
        if not waiting:
            del self._parcels[parcel.partition]
        parcel.partition.flow.answered()
        (self.unstored.stored if stored else self.unstored.remove)(parcel)


def _remedy(problem: KafkaError) -> str:
    """A transaction's records are compressed as the producer is told to, and never alone."""
    if problem.name() == "MSG_SIZE_TOO_LARGE":
        return "raise max.message.bytes of that topic, or set KAFKA_PRODUCER_COMPRESSION_TYPE=zstd, if that will do"
    return remedy(problem)


def _inseparable(parcels: Iterable[Parcel]) -> List[Parcel]:
    """The lowest of these, of one partition, and those that can't be stored apart from it, as batches lie within each
    other."""
    first, *others = sorted(parcels, key=lambda parcel: parcel.offsets)
    together, last = [first], first.offsets[-1]
    for parcel in others:
        if parcel.offsets[0] > last:
            break
        together.append(parcel)
        last = max(last, parcel.offsets[-1])
    return together


AnyOutbox = Union[Outbox, Transactions]
