"""What takes records: a producer, and what exactly-once needs of the other side, transactions, by which records and offsets
are stored in one, or not at all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable, List, NamedTuple, Set, Tuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from tests.simulation.broker import RESULTS, Broker, Headers, of_value
from tests.simulation.oracle import Id, Oracle
from tests.simulation.scheduler import Scheduler

LATENCY = (0.0, 0.02, 0.7)  # seconds that a call takes, or until a record arrives
SUFFIX = ".dlq"  # of the topics of dead letters
SHARE = 0.03  # of calls that go wrong, of each kind
SLOW = KafkaError(KafkaError._TIMED_OUT, "no answer yet", False, True, False)
REFUSED = KafkaError(KafkaError.ILLEGAL_GENERATION, "the group has moved on", False, False, True)
UNKNOWN = KafkaError(KafkaError._FENCED, "nobody knows what became of it", True, False, False)


class _Record(NamedTuple):
    topic: str
    value: bytes
    key: Any
    headers: Headers
    on_delivery: Callable[..., None]


class Letters:
    """Whose dead letters are right."""

    def __init__(self, oracle: Oracle, most_attempts: Callable[[str], int], rejected: Set[Id]) -> None:
        """`most_attempts`: of a topic; `rejected`: for whom one is right at any attempt."""
        self._oracle = oracle
        self._most_attempts = most_attempts
        self._rejected = rejected

    def check(self, record: _Record) -> None:
        """One may be stored soon."""
        if record.topic.endswith(SUFFIX):
            task = of_value(record.value)
            most = self._most_attempts(record.topic[: -len(SUFFIX)])
            self._oracle.dead_letter(task, most, rejected=task in self._rejected)


def _taken(record: _Record, letters: Letters, broker: Broker) -> _Record:
    """The client takes it, or says at once that it does not."""
    chance = broker.chance.random()
    if chance < SHARE:
        raise BufferError("Local: Queue full")
    if chance < 2 * SHARE and record.topic == RESULTS:
        broker.oracle.failed(broker.oracle.promise_of(record.value).tasks)
        raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
    letters.check(record)
    return record


def _tasks(record: _Record, oracle: Oracle) -> List[Id]:
    """Whose it is."""
    return oracle.promise_of(record.value).tasks if record.topic == RESULTS else [of_value(record.value)]


def _store(record: _Record, broker: Broker) -> List[Id]:
    """It is stored. Gives whatever has its outcome by that."""
    if record.topic == RESULTS:
        promise, last = broker.oracle.kept(record.value)
        return promise.tasks if last else []
    task = of_value(record.value)
    if ".retry." in record.topic and not record.topic.endswith(".dlq"):
        broker.sent_on(task, record.topic, record.key, record.headers)
    return [task]


class Producer:
    """In the place of the client's Producer, of one process."""

    def __init__(self, broker: Broker, scheduler: Scheduler, letters: Letters, in_hand: Set[Id]) -> None:
        """`in_hand` holds what is being acknowledged just now."""
        self._broker = broker
        self._oracle = broker.oracle
        self._scheduler = scheduler
        self._letters = letters
        self._in_hand = in_hand
        self._way: List[Tuple[float, _Record, List[int]]] = []

    def produce(
        self, topic: str, value: bytes, key: Any, headers: Headers, on_delivery: Callable[..., None], **_rest: Any
    ) -> None:
        record = _taken(_Record(topic, value, key, headers, on_delivery), self._letters, self._broker)
        arrives = self._scheduler.now + self._broker.chance.choice(LATENCY)
        self._way.append((arrives, record, [self._broker.assignments[task.name] for task in _tasks(record, self._oracle)]))

    def poll(self, _timeout: float) -> None:
        now = self._scheduler.now
        due = [each for each in self._way if each[0] <= now]
        self._way = [each for each in self._way if each[0] > now]
        for _, record, assignments in due:
            away = now < self._broker.away_until
            if away and self._broker.chance.random() < 0.8:  # the client tries for a while
                self._way.append((min(self._broker.away_until, now + 30.0), record, assignments))
                continue
            problem = self._broker.refuses(record.topic, now)
            if away or self._broker.chance.random() < 0.05:
                problem = KafkaError(KafkaError._MSG_TIMED_OUT)
            if problem is not None:
                if away and ".retry." in record.topic and self._broker.chance.random() < 0.3:
                    _store(record, self._broker)  # and the answer is lost: it comes twice
                record.on_delivery(problem, None)
                continue
            self._store(record, assignments, now)

    def _store(self, record: _Record, assignments: List[int], now: float) -> None:
        broker, tasks = self._broker, _store(record, self._broker)
        ours = [
            assignment == broker.assignments[task.name] and task.name in broker.since
            for task, assignment in zip(tasks, assignments)
        ]
        self._in_hand.update(tasks)
        for task, is_ours in zip(tasks, ours):
            self._oracle.outcome(task, now, remembered=is_ours)
        record.on_delivery(None, None)
        self._in_hand.difference_update(tasks)


class _Offsets(NamedTuple):
    places: List[ClientPartition]
    member: Any


class Transactional:
    """In the place of the client's Producer, of one process."""

    def __init__(self, broker: Broker, scheduler: Scheduler, letters: Letters, *, last: bool) -> None:
        """`last`: it is always known what became of a transaction."""
        self._broker = broker
        self._oracle = broker.oracle
        self._scheduler = scheduler
        self._letters = letters
        self._last = last
        self._records: List[_Record] = []
        self._unanswered: List[_Record] = []
        self._offsets: List[_Offsets] = []
        self._committing = False

    def _happens(self) -> bool:
        return self._broker.chance.random() < SHARE

    def _takes_time(self) -> None:
        self._scheduler.wait(1.0 if self._is_away else self._broker.chance.choice(LATENCY))
        if self._happens() or self._is_away:
            raise KafkaException(SLOW)

    @property
    def _is_away(self) -> bool:
        return self._scheduler.now < self._broker.away_until

    def init_transactions(self, _timeout: float) -> None:
        self._takes_time()

    def list_topics(self, topic: str, _timeout: float) -> Any:
        """All are there, but for those that are refused."""
        self._takes_time()
        error = self._broker.refuses(topic, self._scheduler.now)
        return SimpleNamespace(topics={topic: SimpleNamespace(error=error, partitions={0: SimpleNamespace(leader=1)})})

    def begin_transaction(self) -> None:
        self._records, self._unanswered, self._offsets = [], [], []

    def produce(
        self, topic: str, value: bytes, key: Any, headers: Headers, on_delivery: Callable[..., None], **_rest: Any
    ) -> None:
        record = _taken(_Record(topic, value, key, headers, on_delivery), self._letters, self._broker)
        self._records.append(record)
        self._unanswered.append(record)

    def poll(self, _timeout: float) -> None:
        """What is told, `flush` tells."""

    def flush(self, _timeout: float) -> int:
        self._scheduler.wait(self._broker.chance.choice(LATENCY))
        unanswered, self._unanswered = self._unanswered, []
        for record in unanswered:
            problem = self._broker.refuses(record.topic, self._scheduler.now)
            if self._happens() or self._is_away:
                problem = KafkaError(KafkaError._MSG_TIMED_OUT)
            record.on_delivery(problem, None)
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
        for record in self._records:
            if record.topic == RESULTS and not self._oracle.is_missing(record.value):
                self._oracle.fault(f"{record} is sent twice")
        tasks = [task for record in self._records for task in _store(record, self._broker)]
        for record in self._records:
            if record.topic == RESULTS and self._oracle.promise_of(record.value).missing:
                self._oracle.fault(f"{record} is in a transaction, and the rest of what its call sends is not")
        for task in tasks:
            if task in self._oracle.sent:
                self._oracle.fault(f"{task} is sent twice")
            self._oracle.sent.add(task)
            self._oracle.outcome(task, self._scheduler.now, remembered=False)
        for offsets in self._offsets:
            for place in offsets.places:
                self._broker.store((place.topic, place.partition), place.offset, place.metadata)
        for task in tasks:
            if task.epoch == self._oracle.epochs[task.name] and task.offset not in self._broker.held(task.name):
                self._oracle.fault(f"{task} is done in a transaction that does not say so")
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
