"""What exactly-once needs of the other side: transactions, by which records and offsets are stored in one, or not at all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable, List, NamedTuple, Set, Tuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from tests.simulation.broker import TOPIC, Broker, of_value
from tests.simulation.oracle import Id
from tests.simulation.scheduler import Scheduler

LATENCY = (0.0, 0.02, 0.7)  # seconds that a call takes
SHARE = 0.03  # of calls that go wrong, of each kind
SLOW = KafkaError(KafkaError._TIMED_OUT, "no answer yet", False, True, False)
REFUSED = KafkaError(KafkaError.ILLEGAL_GENERATION, "the group has moved on", False, False, True)
UNKNOWN = KafkaError(KafkaError._FENCED, "nobody knows what became of it", True, False, False)


class _Offsets(NamedTuple):
    places: List[ClientPartition]
    member: Any


class Transactional:
    """In the place of the client's Producer, of one process."""

    def __init__(self, broker: Broker, scheduler: Scheduler, most_attempts: int, rejected: Set[Id], *, last: bool) -> None:
        """`rejected`: whose dead letter is right at any attempt; `last`: it is always known what became of a transaction."""
        self._broker = broker
        self._oracle = broker.oracle
        self._scheduler = scheduler
        self._most_attempts = most_attempts
        self._rejected = rejected
        self._last = last
        self._records: List[Tuple[Id, Callable[..., None]]] = []
        self._unanswered: List[Callable[..., None]] = []
        self._offsets: List[_Offsets] = []
        self._committing = False

    def _happens(self) -> bool:
        return self._broker.chance.random() < SHARE

    def _takes_time(self) -> None:
        self._scheduler.wait(self._broker.chance.choice(LATENCY))
        if self._happens():
            raise KafkaException(SLOW)

    def init_transactions(self, _timeout: float) -> None:
        self._takes_time()

    def list_topics(self, topic: str, _timeout: float) -> Any:
        """All are there."""
        return SimpleNamespace(topics={topic: SimpleNamespace(error=None, partitions={0: SimpleNamespace(leader=1)})})

    def begin_transaction(self) -> None:
        self._records, self._unanswered, self._offsets = [], [], []

    def produce(self, topic: str, value: bytes, on_delivery: Callable[..., None], **_rest: Any) -> None:
        task = of_value(value)
        if topic.startswith(TOPIC):
            self._oracle.dead_letter(task, self._most_attempts, rejected=task in self._rejected)
        self._records.append((task, on_delivery))
        self._unanswered.append(on_delivery)

    def poll(self, _timeout: float) -> None:
        """What is told, `flush` tells."""

    def flush(self, _timeout: float) -> int:
        self._scheduler.wait(self._broker.chance.choice(LATENCY))
        unanswered, self._unanswered = self._unanswered, []
        for on_delivery in unanswered:
            on_delivery(KafkaError(KafkaError._MSG_TIMED_OUT) if self._happens() else None, None)
        return 0

    def send_offsets_to_transaction(self, places: List[ClientPartition], member: Any, _timeout: float) -> None:
        self._takes_time()
        offsets = _Offsets(places, member)
        if not self._is_of_the_group(offsets) or self._happens():
            raise KafkaException(REFUSED)
        self._offsets.append(offsets)
        self._broker.pending.update((place.topic, place.partition) for place in places)

    def _is_of_the_group(self, offsets: _Offsets) -> bool:
        names, member = [(place.topic, place.partition) for place in offsets.places], offsets.member
        return self._are_there(offsets) and all(
            name in self._broker.since and member.assignments[name] == self._broker.assignments[name] for name in names
        )

    def _are_there(self, offsets: _Offsets) -> bool:
        """As of plain commits: a real broker would take these for another topic of that name."""
        names = [(place.topic, place.partition) for place in offsets.places]
        return all(offsets.member.epochs.get(name) == self._oracle.epochs[name] for name in names)

    def commit_transaction(self, _timeout: float) -> None:
        self._committing = True
        self._takes_time()
        if self._happens() or not all(map(self._are_there, self._offsets)):
            self._committing = False
            raise KafkaException(REFUSED)
        if self._happens() and not self._last:
            raise KafkaException(UNKNOWN)
        self._commit()

    def abort_transaction(self, _timeout: float) -> None:
        self._takes_time()
        self._over()

    def _commit(self) -> None:
        for task, _ in self._records:
            if task in self._oracle.sent:
                self._oracle.fault(f"{task} is sent twice")
            self._oracle.sent.add(task)
            self._oracle.outcome(task, self._scheduler.now, remembered=False)
        for offsets in self._offsets:
            for place in offsets.places:
                self._broker.store((place.topic, place.partition), place.offset, place.metadata)
        self._over()

    def _over(self) -> None:
        self._committing = False
        self._broker.pending.clear()
        self._records, self._offsets = [], []

    def crash(self) -> None:
        """The process is dead: what it had begun to commit is committed, or not."""
        if self._committing and all(map(self._are_there, self._offsets)) and self._broker.chance.random() < 0.5:
            self._commit()
        self._over()
