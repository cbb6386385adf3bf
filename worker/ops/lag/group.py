"""The Kafka client of the command `lag`: what a group has committed, who its members are, and what it has still before it."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future
from typing import Any, Dict, Iterable, Iterator, Mapping, Optional, Tuple

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from kafka_worker.ops.connection import ANSWER_SECONDS, POLL_SECONDS, BrokerError, Connection
from kafka_worker.ops.lag.rows import UNKNOWN, Member, Place
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system.deadline import Deadline

BATCH = 500


class Group(Connection):
    """A consumer group, seen from outside: nothing of it changes by being looked at."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is asked yet. Raises PropertyError."""
        super().__init__(settings)
        self._name = settings.group_id
        self._admin: AdminClient = self._made(AdminClient, {})

    def members(self) -> Tuple[str, Dict[Place, Member]]:
        """The state of the group in Kafka's word, and who has which partition. Raises BrokerError."""
        asked = self._admin.describe_consumer_groups([self._name], request_timeout=ANSWER_SECONDS)
        found = self._answer(f"group {self._name}", asked[self._name])
        owners = {
            (place.topic, place.partition): Member(member.client_id, member.host.lstrip("/"))
            for member in found.members
            for place in (member.assignment.topic_partitions if member.assignment else ())
        }
        return found.state.name.lower(), owners

    def committed(self, places: Iterable[Place]) -> Dict[Place, int]:
        """The offset that the group has committed of each; UNKNOWN: none. Raises BrokerError."""
        try:
            found = self._consumer.committed([TopicPartition(*place) for place in places], timeout=ANSWER_SECONDS)
        except KafkaException as problem:
            raise self._failed(f"group {self._name}", problem.args[0]) from problem
        for each in found:
            if each.error is not None:
                raise self._failed(f"{each.topic}[{each.partition}]", each.error)
        return {(each.topic, each.partition): max(UNKNOWN, each.offset) for each in found}

    def beginnings(self, places: Iterable[Place]) -> Dict[Place, int]:
        """The first offset that each still holds. What can't be told is left out."""
        return self._offsets(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def ends(self, places: Iterable[Place]) -> Dict[Place, int]:
        """The offset that the next message of each will have. What can't be told is left out."""
        return self._offsets(places, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def _offsets(self, places: Iterable[Place], which: OffsetSpec) -> Dict[Place, int]:
        asked = {TopicPartition(*place): which for place in places}
        found = {}
        for place, future in self._admin.list_offsets(asked, request_timeout=ANSWER_SECONDS).items() if asked else ():
            with contextlib.suppress(BrokerError):  # a partition that nobody leads: the others' are worth having
                found[place.topic, place.partition] = self._answer(str(place), future).offset
        return found

    def produced(self, offsets: Mapping[Place, int]) -> Dict[Place, Optional[float]]:
        """When the first message from there on was produced, in seconds since 1970; None: none stands there, whatever markers
        of transactions do. What can't be told, or did not come in time, is left out."""
        left = set(offsets)
        self._consumer.assign([TopicPartition(*place, offset) for place, offset in offsets.items()])
        found: Dict[Place, Optional[float]] = {}
        for message in self._until(left):
            place = (message.topic(), message.partition())
            if place in left:
                left.discard(place)
                found.update(_time_of(place, message))
                self._consumer.incremental_unassign([TopicPartition(*place)])  # the first is enough
        self._consumer.unassign()
        return found

    def _until(self, left: Iterable[Place]) -> Iterator[Any]:
        """Messages and ends of partitions, as they come, as long as anything is `left`."""
        deadline = Deadline(ANSWER_SECONDS)
        while left and not deadline.expired():
            yield from self._consumer.consume(BATCH, POLL_SECONDS)

    def _answer(self, what: str, future: Future[Any]) -> Any:
        try:
            return future.result(2 * ANSWER_SECONDS)
        except KafkaException as problem:
            raise self._failed(what, problem.args[0]) from problem


def _time_of(place: Place, message: Any) -> Dict[Place, Optional[float]]:
    error, (kind, milliseconds) = message.error(), message.timestamp()
    if error is not None:
        return {place: None} if error.code() == KafkaError._PARTITION_EOF else {}  # noqa: SLF001 (that is its public name)
    return {place: milliseconds / 1000} if kind else {}
