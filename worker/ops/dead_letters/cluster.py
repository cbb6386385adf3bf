"""The Kafka client of the command `dead-letters`: reads whole topics, stores records, frees space. Every wait has a limit.

It reads as a member of no group: partitions are assigned by hand, and nothing is committed. The service's own group id is
given to the client all the same, because the rights of the service are for that one.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from kafka_worker.ops.dead_letters.letter import DeadLetterRecord
from kafka_worker.ops.dead_letters.plan import Outgoing
from kafka_worker.shared.configuration import identity
from kafka_worker.shared.producing import TOGETHER, alone
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system.deadline import Deadline

ANSWER_SECONDS = 10.0  # for a broker to say anything
BATCH = 500
POLL_SECONDS = 0.2
_QUIET = {"log_level": 0}  # what the client has to say comes as errors too, and those are told

Range = Tuple[int, int]  # first offset, and the one behind the last


class BrokerError(Exception):
    """The broker refuses something; the text says what."""


class NoBrokerError(BrokerError):
    """No broker answers."""


class PropertyError(Exception):
    """The client refuses a property that the user has set."""


class Stored(NamedTuple):
    """What became of a record that was to be stored."""

    problem: str  # why it was not; empty: it was
    partition: int = -1  # where it stands now
    offset: int = -1
    by_broker: bool = False  # whether it was a broker that said no


class Cluster:
    """The connection. Use it in a `with`."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is asked yet. Raises PropertyError."""
        self._settings = settings
        self._complaint = ""  # the client's last: why nothing comes
        self._refused = ""  # why a broker will have nothing to do with us, or we with it
        self._common = {**_QUIET, **settings.client_properties, "bootstrap.servers": settings.bootstrap_servers}
        self._producer_properties = settings.producer_properties
        self._producers: Dict[bool, Producer] = {}  # by whether each record goes alone
        self._consumer: Consumer = self._made(
            Consumer,
            {
                "queued.max.messages.kbytes": 8192,
                "fetch.wait.max.ms": 10,  # a second look would wait until the fetch of the first is answered
                **settings.consumer_properties,
                "group.id": settings.group_id,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",  # what retention takes while we read is gone
            },
        )

    def __enter__(self) -> Cluster:  # noqa: PYI034 (typing.Self needs Python 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def topics(self) -> Dict[str, List[int]]:
        """All topics that this user may see, with the numbers of their partitions. Asked by name, one might be made."""
        try:
            found = self._consumer.list_topics(timeout=ANSWER_SECONDS).topics
        except KafkaException as problem:
            self._consumer.poll(0)  # brings the complaints
            if self._refused:
                raise PropertyError(identity.refused(self._refused, self._settings)) from problem
            raise NoBrokerError(self._complaint or str(problem.args[0].str())) from problem
        return {name: sorted(topic.partitions) for name, topic in found.items() if topic.error is None}

    def ranges(self, topic: str, partitions: Sequence[int]) -> Dict[int, Range]:
        """What each partition holds now."""
        deadline = Deadline(ANSWER_SECONDS)
        return {number: self._range(TopicPartition(topic, number), deadline) for number in partitions}

    def _range(self, place: TopicPartition, deadline: Deadline) -> Range:
        try:
            low, high = self._consumer.get_watermark_offsets(place, timeout=max(0.1, deadline.remaining()))
        except KafkaException as problem:
            raise self._failed(f"{place.topic}[{place.partition}]", problem.args[0]) from problem
        return int(low), int(high)

    def read(self, topic: str, ranges: Mapping[int, Range]) -> Iterator[DeadLetterRecord]:
        """What stands in these offsets, each partition in its order. Raises BrokerError."""
        left = {number: behind for number, (first, behind) in ranges.items() if first < behind}
        self._consumer.assign([TopicPartition(topic, number, ranges[number][0]) for number in left])
        deadline = Deadline(ANSWER_SECONDS)
        while left:
            first = self._consumer.poll(POLL_SECONDS)
            if first is None and deadline.expired():
                raise NoBrokerError(self._complaint or f"nothing came for {ANSWER_SECONDS:.0f} s")
            for message in [] if first is None else [first, *self._consumer.consume(BATCH, 0)]:
                deadline = Deadline(ANSWER_SECONDS)
                yield from self._taken(message, left)
        self._consumer.unassign()

    def _taken(self, message: Any, left: Dict[int, int]) -> Iterator[DeadLetterRecord]:
        """The record that a message holds, if it is among what is `left`; a partition that is at its end leaves that."""
        error, number = message.error(), message.partition()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 (that is its public name)
            raise self._failed(f"reading {message.topic()}[{number}]", error)
        if error is None and message.offset() < left.get(number, 0):
            yield _record(message)
        # The end comes as an event when the last offsets hold markers of transactions, which nobody is given.
        if error is not None or message.offset() >= left.get(number, 0) - 1:
            left.pop(number, None)

    def store(self, records: Sequence[Outgoing]) -> List[Stored]:
        """Have these stored by all replicas, in this order. What a broker refuses is offered once more, each alone: it refuses
        whole batches, and some records are smaller by another compression."""
        found = self._sent(self._producing(), records)
        refused = [index for index, each in enumerate(found) if each.by_broker]
        if refused:
            again = self._sent(self._producing(apart=True), [records[index] for index in refused])
            for index, each in zip(refused, again):
                found[index] = each
        return found

    def _sent(self, producer: Producer, records: Sequence[Outgoing]) -> List[Stored]:
        found = [Stored("no answer")] * len(records)

        def noted(index: int) -> Any:
            def on_delivery(error: Optional[KafkaError], message: Any) -> None:
                found[index] = Stored("", message.partition(), message.offset()) if error is None else _not_stored(error)

            return on_delivery

        for index, record in enumerate(records):
            try:
                self._produce(producer, record, noted(index))
            except KafkaException as problem:
                found[index] = _not_stored(problem.args[0])
        producer.flush(2 * ANSWER_SECONDS)  # the client itself gives each record up after half of that
        return found

    @staticmethod
    def _produce(producer: Producer, record: Outgoing, on_delivery: Any) -> None:
        while True:
            try:
                producer.produce(
                    record.topic, record.value, record.key, record.partition, headers=record.headers, on_delivery=on_delivery
                )
            except BufferError:  # a queue made small by the user's properties
                if not len(producer):
                    raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)) from None  # it would never have room
                producer.poll(POLL_SECONDS)
            else:
                return

    def delete_before(self, topic: str, offsets: Mapping[int, int]) -> List[str]:
        """Have the broker forget what lies below these offsets; what it refused."""
        admin = self._made(AdminClient, {})
        asked = [TopicPartition(topic, number, offset) for number, offset in offsets.items()]
        problems = []
        for place, future in admin.delete_records(asked, request_timeout=ANSWER_SECONDS).items():
            try:
                future.result(2 * ANSWER_SECONDS)
            except KafkaException as problem:
                problems.append(f"{place.topic}[{place.partition}]: {problem.args[0].str()}")
        return problems

    def _producing(self, *, apart: bool = False) -> Producer:
        if apart not in self._producers:
            ours = {
                "enable.idempotence": True,
                "acks": "all",
                "message.timeout.ms": int(1000 * ANSWER_SECONDS),
                **TOGETHER,
            }
            properties = {**self._producer_properties, **ours}
            self._producers[apart] = self._made(Producer, alone(properties) if apart else properties)
        return self._producers[apart]

    def _made(self, client: Any, properties: Dict[str, Any]) -> Any:
        try:
            return client({**self._common, **properties, "error_cb": self._note})
        except (KafkaException, ValueError, TypeError) as problem:
            text = problem.args[0].str() if isinstance(problem, KafkaException) else str(problem)
            raise PropertyError(
                f"The Kafka client refuses its properties: {identity.named(text, self._settings)}"
            ) from problem

    def _note(self, error: KafkaError) -> None:
        if error.name() != "_ALL_BROKERS_DOWN":  # which says less than what came before
            self._complaint = error.str()
        if error.name() in ("_AUTHENTICATION", "_SSL", "SASL_AUTHENTICATION_FAILED"):
            self._refused = error.str()

    def _failed(self, what: str, error: KafkaError) -> BrokerError:
        away = error.name() in ("_TRANSPORT", "_TIMED_OUT", "_ALL_BROKERS_DOWN", "_RESOLVE")
        return NoBrokerError(self._complaint or error.str()) if away else BrokerError(f"{what}: {error.str()}")


def _not_stored(error: KafkaError) -> Stored:
    return Stored(error.str(), by_broker=error.code() > 0 or error.name() == "_INVALID_DIFFERENT_RECORD")


def _record(message: Any) -> DeadLetterRecord:
    try:
        headers = list(message.headers() or [])
    except SystemError:  # a name that is not UTF-8; asked again, the client would crash
        headers = [("headers-lost", b"the name of one is not UTF-8")]
    place = (message.topic(), message.partition(), message.offset())
    return DeadLetterRecord(*place, message.timestamp()[1], message.key(), message.value(), headers)
