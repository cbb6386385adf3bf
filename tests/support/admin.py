"""What tests ask a broker, and tell it, beside the service: topics, offsets, members of a group, records."""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple, Union

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from tests.support.eventually import eventually

SECONDS = 30.0  # for one answer
_COORDINATOR_COMES = (
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)

Headers = List[Tuple[str, Union[str, bytes, None]]]
Row = Tuple[Optional[bytes], Optional[bytes], Optional[Headers]]  # key, value, headers


@dataclass(frozen=True)
class Record:
    """One message of a topic."""

    key: Optional[bytes]
    value: Optional[bytes]
    headers: Headers
    partition: int
    offset: int
    timestamp: int  # milliseconds since 1970


@dataclass(frozen=True)
class Member:
    """One member of a group, as its coordinator knows it."""

    member_id: str
    instance_id: Optional[str]
    client_id: str
    host: str
    partitions: Tuple[Tuple[str, int], ...]


class Admin:
    """Keeps one client for as long as it lives: futures of a client that is gone fail."""

    def __init__(self, bootstrap: str) -> None:
        """`bootstrap`: host:port, several with commas."""
        self.bootstrap = bootstrap
        self._client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})  # tests kill brokers
        self._producers: Dict[str, Producer] = {}  # by their properties
        self._sending = threading.Lock()  # a flush would wait for the messages of other threads too

    def create_topic(
        self, name: Optional[str] = None, partitions: int = 8, config: Optional[Mapping[str, str]] = None, copies: int = -1
    ) -> str:
        """Create a topic, by default of a name that nobody used and with as many copies as brokers make; it is ready when this
        returns."""
        name = name or f"topic-{uuid.uuid4().hex[:12]}"
        new = NewTopic(name, num_partitions=partitions, replication_factor=copies, config=dict(config or {}))
        self._client.create_topics([new])[name].result(SECONDS)
        eventually(lambda: self._has_leaders(name), SECONDS, f"each partition of {name} has its leader")
        return name

    def delete_topics(self, names: Iterable[str]) -> None:
        """Those that exist."""
        existing = self._client.list_topics(timeout=SECONDS).topics
        gone = [name for name in names if name in existing]
        for future in self._client.delete_topics(gone).values() if gone else ():
            future.result(SECONDS)

    def make_anew(self, topic: str) -> None:
        """Delete the topic, and create one of the same name, of one partition."""
        self.delete_topics([topic])
        eventually(lambda: topic not in self.topics(), SECONDS, f"{topic} is gone")
        self.create_topic(topic, partitions=1)

    def topics(self) -> List[str]:
        """The names of all that exist."""
        return sorted(self._client.list_topics(timeout=SECONDS).topics)

    def add_partitions(self, topic: str, count: int) -> None:
        """So that it has so many."""
        self._client.create_partitions([NewPartitions(topic, count)])[topic].result(SECONDS)
        eventually(lambda: self._has_leaders(topic, count), SECONDS, f"each partition of {topic} has its leader")

    def end_offsets(self, topic: str) -> Dict[int, int]:
        """For each partition the offset that the next message will have."""
        return self._offsets(topic, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def committed(self, group: str, topic: str) -> Dict[int, Optional[int]]:
        """For each partition what the group has committed, None where nothing."""
        places = self._committed(group, topic)
        return {each.partition: each.offset if each.offset >= 0 else None for each in places}

    def metadata(self, group: str, topic: str) -> Dict[int, Optional[str]]:
        """For each partition the text that goes with it."""
        return {each.partition: each.metadata for each in self._committed(group, topic)}

    def lag(self, group: str, topic: str) -> int:
        """How many messages of the topic the group has not committed."""
        committed = self.committed(group, topic)
        return sum(end - (committed[number] or 0) for number, end in self.end_offsets(topic).items())

    def wait_committed(self, group: str, topic: str, seconds: float = 60.0) -> None:
        """Until the group has committed everything: all of it is dealt with."""
        eventually(lambda: self.lag(group, topic) == 0, seconds, f"everything of {topic} is dealt with and committed")

    def configure(self, topic: str, name: str, value: str) -> None:
        """Change a property of a topic."""
        change = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[change])
        self._client.incremental_alter_configs([resource])[resource].result(SECONDS)

    def delete_records(self, topic: str, before: Mapping[int, int]) -> None:
        """Of each of these partitions what lies before this offset, as retention does."""
        places = [TopicPartition(topic, number, offset) for number, offset in before.items()]
        for future in self._client.delete_records(places).values():
            future.result(SECONDS)

    def group_state(self, group: str) -> str:
        """STABLE, EMPTY, PREPARING_REBALANCING, …"""
        return str(self._describe(group).state.name)

    def coordinator(self, group: str) -> int:
        """The number of the broker that looks after it."""
        return int(self._describe(group).coordinator.id)

    def members(self, group: str) -> List[Member]:
        """The group's members. While it rebalances, none of them has partitions."""
        return [
            Member(
                each.member_id,
                each.group_instance_id,
                each.client_id,
                each.host,
                tuple(sorted((at.topic, at.partition) for at in each.assignment.topic_partitions)),
            )
            for each in self._describe(group).members
        ]

    def move(self, group: str, topic: str, offsets: Mapping[int, int], metadata: str = "") -> None:
        """Move what the group has committed, partition to offset, as an operator may while it has no members."""
        places = [TopicPartition(topic, number, offset, metadata) for number, offset in offsets.items()]
        request = ConsumerGroupTopicPartitions(group, places)

        def moved() -> bool:
            """A coordinator that has just begun may refuse it, partition by partition."""
            answer = self._client.alter_consumer_group_offsets([request])[group].result(SECONDS)
            return all(place.error is None for place in answer.topic_partitions)

        eventually(moved, SECONDS, f"the offsets of {group} are moved")

    def delete_group(self, group: str) -> None:
        """With everything it has committed. It must have no members."""
        self._client.delete_consumer_groups([group])[group].result(SECONDS)

    def produce(
        self, topic: str, rows: Iterable[Row], properties: Optional[Mapping[str, Any]] = None, timestamp: int = 0
    ) -> List[Tuple[int, int]]:
        """Send (key, value, headers) rows, in order; their (partition, offset), all acknowledged. `properties`
        go to the producer. `timestamp`: milliseconds since 1970; 0: that of now.
        """
        places: Dict[int, Tuple[int, int]] = {}  # by row: acknowledgements come partition by partition
        problems: List[KafkaError] = []

        def note(index: int) -> Callable[[Optional[KafkaError], Any], None]:
            def on_delivery(error: Optional[KafkaError], message: Any) -> None:
                if error:
                    problems.append(error)
                else:
                    places[index] = (message.partition(), message.offset())

            return on_delivery

        with self._sending:
            producer = self._producer(properties or {})
            for index, (key, value, headers) in enumerate(rows):
                producer.produce(topic, value, key, headers=headers or [], timestamp=timestamp, on_delivery=note(index))
                producer.poll(0)
            unsent = producer.flush(SECONDS)
        if problems or unsent:
            raise RuntimeError(f"{unsent} messages were not acknowledged, {len(problems)} refused: {problems[:3]}")
        return [places[index] for index in range(len(places))]

    def _producer(self, properties: Mapping[str, Any]) -> Producer:
        """Kept for the next time: a new one needs half a second until it has its id and may send."""
        name = json.dumps(properties, sort_keys=True)
        if name not in self._producers:
            ours = {"bootstrap.servers": self.bootstrap, "enable.idempotence": True, "linger.ms": 5, "log_level": 0}
            self._producers[name] = Producer({**ours, **properties})
        return self._producers[name]

    def records(self, topic: str) -> List[Record]:
        """Everything the topic holds now, by partition and offset; nothing when there is no such topic."""
        if topic not in self.topics():
            return []
        ends = self.end_offsets(topic)
        starts = self._offsets(topic, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        wanted = [number for number, end in ends.items() if end > starts[number]]
        found: List[Record] = []
        reader = _reader(self.bootstrap)
        try:
            for number in wanted:
                found += _read(reader, TopicPartition(topic, number, starts[number]), ends[number])
        finally:
            reader.close()
        return found

    def _committed(self, group: str, topic: str) -> List[TopicPartition]:
        asked = [TopicPartition(topic, number) for number in self._partitions(topic)]
        request = ConsumerGroupTopicPartitions(group, asked)
        return list(self._client.list_consumer_group_offsets([request])[group].result(SECONDS).topic_partitions)

    def _has_leaders(self, topic: str, count: int = 1) -> bool:
        """A new partition is known a moment before its leader knows that it is."""
        with contextlib.suppress(KafkaException):
            return len(self.end_offsets(topic)) >= count
        return False

    def _partitions(self, topic: str) -> List[int]:
        description = self._client.list_topics(topic, timeout=SECONDS).topics[topic]
        if description.error:
            raise KafkaException(description.error)
        return sorted(description.partitions)

    def epochs(self, topic: str) -> Dict[int, int]:
        """For each partition how often it has had another leader, or that one again, when its last message came."""
        return {number: at.leader_epoch for number, at in self._ends(topic, OffsetSpec.latest()).items()}  # type: ignore[no-untyped-call]

    def _offsets(self, topic: str, which: OffsetSpec) -> Dict[int, int]:
        return {number: at.offset for number, at in self._ends(topic, which).items()}

    def _ends(self, topic: str, which: OffsetSpec) -> Dict[int, Any]:
        ends: Dict[int, Any] = {}

        def answered() -> bool:
            futures = self._client.list_offsets({TopicPartition(topic, number): which for number in self._partitions(topic)})
            try:
                ends.update({at.partition: future.result(SECONDS) for at, future in futures.items()})
            except KafkaException as problem:  # another leads by now, of which the client has heard by its own answer only
                if problem.args[0].code() != KafkaError.FENCED_LEADER_EPOCH:
                    raise
                ends.clear()
            return bool(ends)

        eventually(answered, SECONDS, f"the leaders of {topic} answer")
        return ends

    def _describe(self, group: str) -> Any:
        described: List[Any] = []

        def answered() -> bool:
            try:
                described.append(self._client.describe_consumer_groups([group])[group].result(SECONDS))
            except KafkaException as problem:  # a new broker's first group: its coordinator is just being chosen
                if problem.args[0].code() not in _COORDINATOR_COMES:
                    raise
            return bool(described)

        eventually(answered, SECONDS, f"the coordinator of {group} answers")
        return described[0]


def _reader(bootstrap: str) -> Consumer:
    """A consumer of no group's partitions: it never subscribes and never commits."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"reader-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )


def _read(reader: Consumer, start: TopicPartition, end: int) -> List[Record]:
    reader.assign([start])
    found: List[Record] = []
    while True:
        message = reader.poll(SECONDS)
        if message is None:
            raise TimeoutError(f"{start.topic}[{start.partition}] has records up to {end} that do not come")
        error = message.error()
        if error and error.code() == KafkaError._PARTITION_EOF:
            return found
        if error:
            raise KafkaException(error)
        record = _record(message)
        if record.offset < end:
            found.append(record)
        if record.offset >= end - 1:
            return found


def _record(message: Any) -> Record:
    headers = list(message.headers() or [])
    place = (message.partition(), message.offset(), message.timestamp()[1])
    return Record(message.key(), message.value(), headers, *place)
