"""Commits what is done: asks `Commits` when and what, sends it, and takes the broker's answers. Consumer thread only."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from kafka_worker.kafka.consumer import GroupConsumer
from kafka_worker.kafka.errors import Meaning, meaning
from kafka_worker.kafka.outgoing.transactions import Transactions
from kafka_worker.kafka.outgoing.transactor import OffsetToCommit
from kafka_worker.partitions.assignment import Assignment, Partition
from kafka_worker.partitions.commits import Commits
from kafka_worker.recovery.recovery import Recovery
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.ipc.snapshot import TopicPartition
from kafka_worker.shared.ipc.work import Work

log = logs.logger(__name__)


class Committer:
    """The commits of one process."""

    def __init__(
        self,
        interval: float,
        assignment: Assignment,
        recovery: Recovery,
        clock: Callable[[], float],
        transactions: Optional[Transactions] = None,
    ) -> None:
        """`interval`: seconds between two commits. They go by the client, as soon as there is one, or by `transactions`."""
        self._transactions = transactions
        self._commits = Commits(interval)
        self._assignment = assignment
        self._recovery = recovery
        self._clock = clock
        self.work = Work()
        self._consumer: GroupConsumer
        self._member: Any = None  # who we were to the group when the last transaction began

    def use(self, consumer: GroupConsumer) -> None:
        """This is our client from now on. What the one before it had sent is not answered any more."""
        self._consumer = consumer
        self._commits.in_flight = 0
        if self._transactions is not None:
            self._transactions.start()

    def soon(self) -> None:
        """An assignment is new, or there is something to commit of it now."""
        self._commits.soon(self._clock())

    def turn(self, now: float, *, in_callback: bool) -> None:
        """Commit if it is time to. In a client callback no answer is heard, and the client's positions are no measure."""
        if self._transactions is not None:
            self._hear(self._transactions)
        if self._due(now, in_callback=in_callback):
            self._send(self._assignment, {} if in_callback else self._positions(), now)

    def last_of(self, partitions: List[Partition]) -> bool:
        """Our last commit of these, in a revocation: sent before the answer to that, on the same connection, so the next owner
        reads it. Without the client's positions: they already count messages that we have not seen. Returns whether all is
        sent: a transaction has to be over before the answer, or the group has moved on, and the broker refuses it."""
        if self._transactions is None:
            self._send(partitions, {}, self._clock())
            return True
        return not self._commits.in_flight and self._send(partitions, {}, self._clock())

    def finished(self) -> bool:
        """Whether the broker holds all that we owe it. What is missing is sent, one commit at a time."""
        # Where nothing has come yet, a commit would only serve to find us again: that is not owed any more.
        owed = [p for p in self._assignment if p.stored.named or p.tracker.next_offset >= 0]
        return not self._commits.in_flight and self._send(owed, self._positions(), self._clock())

    def answered(self, stored: List[Tuple[str, int, int]]) -> None:
        """The answer to a commit."""
        self._commits.answered()
        self._count(stored=bool(stored))
        for partition, offset in self._commits.acknowledged(self._assignment, stored, self._clock()):
            self._recovery.acknowledged(partition, offset)

    def refuse_map(self) -> None:
        """The offset itself must get through: commit without the map from now on."""
        log.warning(
            "The broker refuses metadata of this length: after a crash, more than what was running may run again",
            extra=about(Event.METADATA_REFUSED),
        )
        for partition in self._assignment:
            partition.stored.refuse_map()

    @property
    def acknowledged_at(self) -> float:
        """Monotonic seconds of the last commit that the broker has stored; -1: none yet."""
        return self._commits.acknowledged_at

    def _due(self, now: float, *, in_callback: bool) -> bool:
        if self._transactions is None:
            return self._commits.due(now, deaf=in_callback)
        return self._commits.due(now) or self._transactions.ready

    def _hear(self, transactions: Transactions) -> None:
        """Take their answers; and end, if nobody here will ever say what became of one."""
        consumer, lost = self._consumer, transactions.lost
        if lost and consumer.ending is None:  # the broker knows, and is asked at the next start
            log.error(
                "Not known is whether a transaction was committed: %s", lost, extra=about(Event.COMMIT_FAILED, reason=lost)
            )
            consumer.ending = ExitCode.FENCED
        if consumer.joined and not consumer.away and transactions.hangs() and consumer.ending is None:
            reason = "the client does not say what became of it"
            log.error(
                "A transaction has no end, and another process goes on: %s",
                reason, extra=about(Event.COMMIT_FAILED, reason=reason),
            )  # fmt: skip
            consumer.ending = ExitCode.FAULT
        while transactions.answers:
            stored, error = transactions.answers.popleft()
            if error is not None:
                self._refused(error)
            self.answered(stored)

    def _refused(self, error: Any) -> None:
        """A transaction was not committed; `error`: as the client gives it."""
        kind = meaning(error.name())
        if kind is Meaning.FENCED and self._member != self._membership:
            # It was sent as the member that we were before; or brokers were away for longer than a transaction may last.
            log.debug("A transaction from before we were lost is refused: %s", error)
            return
        if kind is not Meaning.UNSUPPORTED:
            self._consumer.commit_failed(error, "a transaction")
            return
        if self._consumer.ending is not None:
            return
        log.error(
            "The brokers can't do what DELIVERY=exactly-once asks of them: %s. Brokers from 2.5 on can, and their "
            "transaction.max.timeout.ms must not be below KAFKA_PRODUCER_TRANSACTION_TIMEOUT_MS",
            error.str(), extra=about(Event.BROKER_REFUSES, reason=error.name()),
        )  # fmt: skip
        self._consumer.ending = ExitCode.CONFIGURATION

    def _commit(self, places: List[OffsetToCommit]) -> bool:
        if self._transactions is None:
            return self._consumer.commit(places)
        self._member = self._membership
        return self._transactions.commit(places, self._consumer.group_metadata())

    @property
    def _membership(self) -> Tuple[GroupConsumer, int]:
        return self._consumer, self._consumer.losses

    def _count(self, *, stored: bool) -> None:
        self.work.add("commits", "", "stored" if stored else "failed")

    def _positions(self) -> Dict[TopicPartition, int]:
        """Only between two fetches: everything delivered so far is in flight or done then."""
        return self._consumer.positions([p.name for p in self._assignment])

    def _send(self, partitions: Iterable[Partition], positions: Dict[TopicPartition, int], now: float) -> bool:
        """Send what the broker does not hold yet; whether it holds everything."""
        if self._transactions is not None and not self._transactions.free:
            return False
        reach = {} if self._transactions is None else {"reach": self._transactions.reach}
        dirty = Commits.dirty(partitions, positions, self._recovery.metadata, **reach)
        if dirty and not self._commit([(p.topic, p.number, target, text) for p, target, text in dirty]):
            self._count(stored=False)
        elif dirty:
            self._commits.sent()
            for partition, target, text in dirty:
                partition.stored.sent(target, text)
        self._commits.checked(self._assignment, now)
        return not dirty
