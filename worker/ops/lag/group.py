"""The Kafka client of the command `lag`: what a group has committed, who its members are, and what it has still before it."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from kafka_worker.ops.connection import ANSWER_SECONDS, BATCH, POLL_SECONDS, BrokerError, Connection, NoBrokerError
from kafka_worker.ops.lag.rows import UNKNOWN, Member
from kafka_worker.shared.configuration.failure_settings import retry_topic
from kafka_worker.shared.foreign.retry_headers import due_at
from kafka_worker.shared.ipc.snapshot import TopicPartition
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system.deadline import Deadline

# In a moment the group's broker knows.
_COMES = ("NOT_COORDINATOR", "COORDINATOR_NOT_AVAILABLE", "COORDINATOR_LOAD_IN_PROGRESS")


class Group(Connection):
    """A consumer group, seen from outside: nothing of it changes by being looked at."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is asked yet. Raises PropertyError."""
        super().__init__(settings)
        self._name = settings.group_id
        self._firsts = {retry_topic(topic, delay): topic for topic in settings.topics for delay in settings.retry_topics}
        self._scheduled = bool(settings.deliver_at_max_seconds)
        self._admin: AdminClient = self._made(AdminClient, {})

    def described(self) -> Tuple[str, List[Member]]:
        """The state of the group in Kafka's word, and its members. Raises BrokerError; to be asked as `_description`."""
        found = self._description()
        return found.state.name.lower(), members_of(found)

    def _description(self) -> Any:
        """To be asked only where `committed` was told: while the group's broker does not answer, this question ends the
        process some seconds later, by a failed assertion in librdkafka 2.16 (`rd_kafka_enq_once_del_source_return`)."""
        asked = self._admin.describe_consumer_groups(
            [self._name], include_authorized_operations=True, request_timeout=ANSWER_SECONDS
        )
        return self._answer(f"group {self._name}", asked[self._name])

    def committed(self, places: Iterable[TopicPartition]) -> Dict[TopicPartition, int]:
        """The offset that the group has committed of each; UNKNOWN: none. Raises BrokerError."""
        deadline = Deadline(ANSWER_SECONDS)
        while True:
            found, error = self._asked([ClientPartition(*place) for place in places], deadline)
            if error is None:
                return {(each.topic, each.partition): max(UNKNOWN, each.offset) for each in found}
            if error.name() not in _COMES or deadline.expired():
                raise self._failed(f"group {self._name}", error)
            self._consumer.poll(POLL_SECONDS)

    def _asked(self, places: List[ClientPartition], deadline: Deadline) -> Tuple[List[ClientPartition], Optional[KafkaError]]:
        """What is committed; what was in the way of one of them."""
        try:
            found = self._consumer.committed(places, timeout=max(0.1, deadline.remaining()))
        except KafkaException as problem:
            return [], problem.args[0]
        return found, next((each.error for each in found if each.error is not None), None)

    def beginnings(self, places: Iterable[TopicPartition]) -> Dict[TopicPartition, int]:
        """The first offset that each still holds. What can't be told is left out. Raises NoBrokerError."""
        return self._offsets(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def ends(self, places: Iterable[TopicPartition]) -> Dict[TopicPartition, int]:
        """The offset that the next message of each will have. What can't be told is left out. Raises NoBrokerError."""
        return self._offsets(places, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def _offsets(self, places: Iterable[TopicPartition], which: OffsetSpec) -> Dict[TopicPartition, int]:
        asked = {ClientPartition(*place): which for place in places}
        found = {}
        for place, future in self._admin.list_offsets(asked, request_timeout=ANSWER_SECONDS).items() if asked else ():
            try:
                found[place.topic, place.partition] = self._answer(str(place), future).offset
            except NoBrokerError:  # nor does one for the others, each after a wait of its own
                raise
            except BrokerError:  # a partition that nobody leads: the others' are worth having
                continue
        return {place: offset for place, offset in found.items() if offset >= 0}  # below: its leader does not answer

    def due(self, offsets: Mapping[TopicPartition, int]) -> Dict[TopicPartition, Optional[float]]:
        """Since when the first message from there on should be done, in seconds since 1970: when it was produced, or when its
        wait is over (`due_at`); None: none stands there, whatever markers of transactions do. What can't be told, or did not
        come in time, is left out."""
        return self._times(offsets, self._due)

    def _due(self, message: Any) -> float:
        return due_at(message, self._firsts.get(message.topic(), ""), scheduled=self._scheduled)

    def _times(
        self, offsets: Mapping[TopicPartition, int], read: Callable[[Any], float]
    ) -> Dict[TopicPartition, Optional[float]]:
        left = set(offsets)
        self._consumer.assign([ClientPartition(*place, offset) for place, offset in offsets.items()])
        found: Dict[TopicPartition, Optional[float]] = {}
        for message in self._until(left):
            place = (message.topic(), message.partition())
            if place in left:
                left.discard(place)
                found.update(_time_of(place, message, read))
                self._consumer.incremental_unassign([ClientPartition(*place)])  # the first is enough
        self._consumer.unassign()
        return found

    def _until(self, left: Iterable[TopicPartition]) -> Iterator[Any]:
        """Messages and ends of partitions, as they come, as long as anything is `left`."""
        deadline = Deadline(ANSWER_SECONDS)
        while left and not deadline.expired():
            yield from self._consumer.consume(BATCH, POLL_SECONDS)

    def _answer(self, what: str, future: Future[Any]) -> Any:
        try:
            return future.result(2 * ANSWER_SECONDS)
        except KafkaException as problem:
            raise self._failed(what, problem.args[0]) from problem


def members_of(description: Any) -> List[Member]:
    """Those of a group, as a broker describes it."""
    return [
        Member(
            each.client_id,
            each.group_instance_id or "",
            each.host.lstrip("/"),
            tuple((at.topic, at.partition) for at in (each.assignment.topic_partitions if each.assignment else ())),
        )
        for each in description.members
    ]


def _time_of(place: TopicPartition, message: Any, read: Callable[[Any], float]) -> Dict[TopicPartition, Optional[float]]:
    error = message.error()
    if error is not None:
        return {place: None} if error.code() == KafkaError._PARTITION_EOF else {}  # noqa: SLF001 (that is its public name)
    return {place: read(message)} if message.timestamp()[0] else {}
