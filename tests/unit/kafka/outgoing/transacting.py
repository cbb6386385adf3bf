"""A partition whose tasks send, and transactions without a broker and without their thread."""

from __future__ import annotations

from collections import deque
from typing import Deque, List, Optional, Tuple

from confluent_kafka import KafkaError

from kafka_worker.kafka.outgoing.record import OutgoingRecord
from kafka_worker.kafka.outgoing.transactions import Transactions
from kafka_worker.kafka.outgoing.transactor import Job
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task, finish
from tests.unit.fakes import Message

GONE = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
REFUSED = KafkaError(KafkaError.INVALID_RECORD)  # a batch, for one of its records
LATE = KafkaError(KafkaError._TIMED_OUT, "not yet", retriable=True)
ABORT = KafkaError(KafkaError.ILLEGAL_GENERATION, "moved on", txn_requires_abort=True)
FATAL = KafkaError(KafkaError._FENCED, "another one", fatal=True)


class ByHand:
    """In the place of the thread: the test says what becomes of the job."""

    def __init__(self) -> None:
        self.jobs: List[Job] = []
        self.over: Deque[Job] = deque()
        self.lost = self.waits = ""
        self.step = 0
        self.committing = False
        self.replaced = 0

    def do(self, job: Job) -> None:
        self.jobs.append(job)

    def another(self) -> Optional[ByHand]:
        return None if self.committing else self

    def start(self) -> None:
        self.step = 0
        self.replaced += 1


class Bench:
    """A partition of ten offsets, all in flight, and what their tasks send."""

    def __init__(self) -> None:
        self.now = 100.0
        self.by_hand = ByHand()
        self.ours = Transactions(self.by_hand, lambda: self.now)  # type: ignore[arg-type]
        self.partition = Partition("topic", 0)
        self.segment, _ = self.partition.tracker.take(0, 10)
        self.failed: List[Exception] = []

    def task(self, offset: int) -> Task:
        return offset, self.segment, Message(offset), None, 1, self.partition

    def done(self, *offsets: int) -> None:
        for offset in offsets:
            finish(self.task(offset))

    def send(self, *offsets: int, count: int = 1, to: str = "out") -> None:
        """What one call with these sends."""
        records = [OutgoingRecord(to, None, b"%d" % offsets[0], []) for _ in range(count)]
        left = [count]

        def stored(_task: Task) -> None:
            left[0] -= 1
            if not left[0]:
                self.done(*offsets)

        self.ours.send_all("result", [self.task(offset) for offset in offsets], records, stored, self.failed.append)

    def commit(self) -> Optional[Job]:
        target = self.ours.reach(self.partition)
        started = self.ours.commit([("topic", 0, target, "map")], "member")
        return self.by_hand.jobs[-1] if started else None

    def over(self, error: Optional[KafkaError] = None, blamed: Tuple[int, ...] = (), *, at_once: bool = False) -> None:
        job = self.by_hand.jobs[-1]
        job.error = error
        for parcel in job.parcels:
            if parcel.offsets[0] in blamed:
                parcel.problem, parcel.at_once = error, at_once
        self.by_hand.over.append(job)
        self.ours_serve()

    def turn(self, error: Optional[KafkaError] = None, blamed: Tuple[int, ...] = (), *, at_once: bool = False) -> List[int]:
        """One transaction, and what becomes of it: what was in it."""
        assert self.commit()
        sent = self.sent
        self.over(error, blamed, at_once=at_once)
        return sent

    def ours_serve(self) -> None:
        waiting, self.by_hand.over = self.by_hand.over, deque()
        for job in waiting:
            self.ours._over(job)

    @property
    def sent(self) -> List[int]:
        return [parcel.offsets[0] for parcel in self.by_hand.jobs[-1].parcels]
