"""The Kafka client of the command `dead-letters`: reads whole topics, stores records, frees space."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import AdminClient

from kafka_worker.ops.connection import ANSWER_SECONDS, BATCH, POLL_SECONDS, Connection, Range
from kafka_worker.ops.dead_letters.letter import DeadLetterRecord
from kafka_worker.ops.dead_letters.plan import Outgoing
from kafka_worker.shared.foreign.headers import readable_headers
from kafka_worker.shared.producing import TOGETHER, alone
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system.deadline import Deadline


class Stored(NamedTuple):
    """What became of a record that was to be stored."""

    problem: str  # why it was not; empty: it was
    partition: int = -1  # where it stands now
    offset: int = -1
    by_broker: bool = False  # whether it was a broker that said no


class Cluster(Connection):
    """The connection. Use it in a `with`."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is asked yet. Raises PropertyError."""
        super().__init__(settings)
        self._producer_properties = settings.producer_properties
        self._producers: Dict[bool, Producer] = {}  # by whether each record goes alone

    def read(self, topic: str, ranges: Mapping[int, Range]) -> Iterator[DeadLetterRecord]:
        """What stands in these offsets, each partition in its order. Raises BrokerError."""
        left = {number: behind for number, (first, behind) in ranges.items() if first < behind}
        self._consumer.assign([ClientPartition(topic, number, ranges[number][0]) for number in left])
        deadline = Deadline(ANSWER_SECONDS)
        while left:
            first = self._consumer.poll(POLL_SECONDS)
            if first is None and deadline.expired():
                raise self._silence(f"{topic}{sorted(left)}", f"nothing came for {ANSWER_SECONDS:.0f} s")
            for message in [] if first is None else [first, *self._consumer.consume(BATCH, 0)]:
                deadline = Deadline(ANSWER_SECONDS)
                yield from self._taken(message, left)
        self._consumer.unassign()

    def recent(self, topic: str, partition: int, since: int, behind: int) -> Range:
        """What this partition has of this time (milliseconds since 1970) and later, up to an offset. Raises
        BrokerError."""
        _, high = self.ranges(topic, [partition])[partition]
        try:
            (found,) = self._consumer.offsets_for_times([ClientPartition(topic, partition, since)], ANSWER_SECONDS)
        except KafkaException as problem:
            raise self._failed(f"{topic}[{partition}]", problem.args[0]) from problem
        return found.offset if found.offset >= 0 else min(high, behind), min(high, behind)

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

    def say(self, record: Outgoing) -> None:
        """Have this stored, and do not wait for it. Any thread, after something was stored."""
        with contextlib.suppress(BufferError, KafkaException):
            self._producing().produce(record.topic, record.value, record.key, record.partition, headers=record.headers)

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
        asked = [ClientPartition(topic, number, offset) for number, offset in offsets.items()]
        problems = []
        for place, future in admin.delete_records(asked, request_timeout=ANSWER_SECONDS).items():
            try:
                future.result(2 * ANSWER_SECONDS)
            except KafkaException as problem:
                problems.append(f"{place.topic}[{place.partition}]: {problem.args[0].str()}")
        return problems

    def _producing(self, *, apart: bool = False) -> Producer:
        if apart not in self._producers:
            ours = {"enable.idempotence": True, "acks": "all", "message.timeout.ms": int(1000 * ANSWER_SECONDS), **TOGETHER}
            properties = {**self._producer_properties, **ours}
            self._producers[apart] = self._made(Producer, alone(properties) if apart else properties)
        return self._producers[apart]


def _not_stored(error: KafkaError) -> Stored:
    return Stored(error.str(), by_broker=error.code() > 0 or error.name() == "_INVALID_DIFFERENT_RECORD")


def _record(message: Any) -> DeadLetterRecord:
    place = (message.topic(), message.partition(), message.offset())
    return DeadLetterRecord(*place, message.timestamp()[1], message.key(), message.value(), list(readable_headers(message)))
