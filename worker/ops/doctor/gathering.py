"""The Kafka client of the command `check`: asks a cluster for what the checks want to know. What may not be asked is left out,
and so is all behind a question that nobody answers."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Sequence, Set, Tuple

from confluent_kafka import KafkaException, Producer, TopicCollection
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import ConfigResource, OffsetSpec, ResourceType  # type: ignore[attr-defined]

from kafka_worker.kafka.properties import producer_properties
from kafka_worker.ops.connection import (
    ANSWER_SECONDS,
    FIRST_SECONDS,
    BrokerError,
    NoBrokerError,
    NoTokenError,
    OneAwayError,
    PropertyError,
    partitions_of,
)
from kafka_worker.ops.doctor.facts import UNFRAMED, UNKNOWN, Kafka, Refusal, Topic
from kafka_worker.ops.lag.group import Group, members_of
from kafka_worker.ops.lag.rows import Member
from kafka_worker.shared import routes
from kafka_worker.shared.foreign.headers import readable_headers
from kafka_worker.shared.ipc.snapshot import TopicPartition
from kafka_worker.shared.settings import Settings

OF_IDENTITY = ("sasl.", "ssl.", "security.")  # properties that say who we are, and whom we believe
FRAME = 5  # bytes: a zero, and the id of a schema
TRIES = 5  # at random, to be told of another controller than one that is silent
GUID_HEADER = "__value_schema_id"  # names a schema by what is the same in all registries


def asked(settings: Settings) -> Kafka:
    """What the cluster says. Never raises for what it does not."""
    try:
        with Examined(settings) as cluster:
            return cluster.facts()
    except NoBrokerError as problem:
        return Kafka(away=str(problem), no_token=isinstance(problem, NoTokenError))
    except _GoneError as problem:
        return Kafka(away=str(problem))
    except PropertyError as problem:
        return Kafka(refused=str(problem))


class _GoneError(Exception):
    """No broker answers any more: whatever else is asked would have no answer either, each time after a while."""


class Examined(Group):
    """The cluster of a service. Use it in a `with`."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is asked yet. Raises PropertyError."""
        super().__init__(settings)
        self._silent: Set[int] = set()  # brokers that do not answer, while others do

    def _answer(self, what: str, future: Future[Any]) -> Any:
        try:
            return super()._answer(what, future)
        except NoBrokerError as problem:
            raise _GoneError(str(problem)) from problem

    def facts(self) -> Kafka:
        """All that can be told. Raises NoBrokerError and PropertyError."""
        settings = self._settings
        named = self._metadata()
        properties = self._asked_each(sorted(named.brokers))
        metadata = self._metadata() if self._silent else named  # others may lead now what those that are silent did
        existing = partitions_of(metadata)
        consumed = routes.consumed(settings, existing)
        letters = [name + settings.dead_letter_suffix for name in consumed if routes.RETRY_MARK not in name]
        described = self._topics(consumed, metadata)
        schemas: Dict[str, int] = {}
        no_producer = self._why_no_producer()
        transactions = settings.delivery == "exactly-once" and not no_producer
        refused, away = self._why_not_committing(consumed, existing)
        members, strategy, of_group = (None, "", None) if away else self._of_group()
        return Kafka(
            brokers=len(named.brokers),
            silent=[
                f"{number} ({named.brokers[number].host}:{named.brokers[number].port})" for number in sorted(self._silent)
            ],
            consumed={name: self._with_times(name, topic, schemas) for name, topic in described.items()},
            schemas=schemas,
            no_producer=no_producer,
            no_transactions=self._why_no_transactions() if transactions else None,
            letters=self._topics(letters, metadata),
            group_refused=refused,
            coordinator_away=away,
            members=members,
            strategy=strategy,
            of_group=of_group,
            properties=properties,
        )

    def _asked_each(self, numbers: Sequence[int]) -> Dict[str, str]:
        """The configuration of a broker. All are asked at once, each for its own: so one that is silent is known, and waited
        for only once."""
        kind = ResourceType.BROKER
        asked = {
            number: self._admin.describe_configs([ConfigResource(kind, str(number))], request_timeout=ANSWER_SECONDS)
            for number in numbers
        }
        found: Dict[str, str] = {}
        for number, futures in asked.items():
            try:
                (entries,) = (self._answer(f"broker {number}", future) for future in futures.values())
            except OneAwayError:
                self._silent.add(number)
            except BrokerError:
                pass  # it has answered
            else:
                found = found or _values(entries)
        return found

    def _spare(self) -> None:
        """Have our client ask one that is not silent what it asks the controller: each answer about the cluster names any."""
        for _ in range(TRIES if self._silent else 0):
            with contextlib.suppress(KafkaException):
                if self._admin.list_topics(timeout=FIRST_SECONDS).controller_id not in self._silent:
                    return

    def _topics(self, names: Sequence[str], metadata: Any) -> Dict[str, Topic]:
        existing = partitions_of(metadata)
        there = [name for name in names if name in existing]
        properties = self._properties(there)
        operations = self._operations(there)
        found = {
            name: self._with_brokers(
                Topic(len(existing[name]), operations.get(name), properties.get(name, {})), name, metadata
            )
            for name in there
        }
        return {name: found.get(name, Topic(0)) for name in names}

    def _with_brokers(self, topic: Topic, name: str, metadata: Any) -> Topic:
        """Which of its partitions a broker that answers serves, and which have all their copies."""
        partitions = metadata.topics[name].partitions
        serving, wanted = metadata.brokers.keys() - self._silent, int(topic.properties.get("min.insync.replicas", 1))
        return replace(
            topic,
            leaderless=sorted(number for number, each in partitions.items() if each.leader not in serving),
            thin=sorted(number for number, each in partitions.items() if len(each.isrs) < len(each.replicas)),
            # Brokers want no more copies than there would be if none were missing.
            shut=sorted(
                number
                for number, each in partitions.items()
                if each.leader in serving and len(each.isrs) < min(wanted, len(each.replicas))
            ),
        )

    def _operations(self, names: Sequence[str]) -> Dict[str, Any]:
        """What we may do with each topic."""
        found = {}
        wanted = TopicCollection(list(names))
        self._spare()
        futures = (
            self._admin.describe_topics(wanted, include_authorized_operations=True, request_timeout=ANSWER_SECONDS)
            if names
            else {}
        )
        for name, future in futures.items():
            with contextlib.suppress(BrokerError):
                operations = self._answer(name, future).authorized_operations
                if operations is not None:
                    found[name] = frozenset(each.name for each in operations)
        return found

    def _properties(self, names: Sequence[str]) -> Dict[str, Dict[str, str]]:
        """The configuration of topics."""
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        found = {}
        self._spare()
        futures = self._admin.describe_configs(resources, request_timeout=ANSWER_SECONDS) if resources else {}
        for resource, future in futures.items():
            with contextlib.suppress(BrokerError):
                found[resource.name] = _values(self._answer(resource.name, future))
        return found

    def _with_times(self, name: str, topic: Topic, schemas: Dict[str, int]) -> Topic:
        """What the timestamps of its messages say. Notes which schema a last one names, too."""

        def read(message: Any) -> float:
            schema = _schema_of(message)
            if schema is not None:
                schemas[name] = schema
            return float(message.timestamp()[1] / 1000)

        places = [(name, number) for number in range(topic.partitions) if number not in topic.leaderless]
        newest = self._newest(places)
        lasts = self._times({place: end - 1 for place, end in self.ends(places).items() if end > 0}, read)
        backward = [newest[place] - last for place, last in lasts.items() if last is not None and place in newest]
        return replace(topic, newest=max(newest.values(), default=UNKNOWN), backward=max(backward, default=0.0))

    def _newest(self, places: Sequence[TopicPartition]) -> Dict[TopicPartition, float]:
        """The highest timestamp of each."""
        latest = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]
        asked = {ClientPartition(*place): latest for place in places}
        found = {}
        for place, future in self._admin.list_offsets(asked, request_timeout=ANSWER_SECONDS).items() if asked else ():
            with contextlib.suppress(BrokerError):
                found[place.topic, place.partition] = self._answer(str(place), future).timestamp / 1000
        return found

    def _why_not_committing(self, consumed: Sequence[str], existing: Mapping[str, Sequence[int]]) -> Tuple[str, bool]:
        """Empty: we may. And whether that is because nobody answers who could tell."""
        places = [(name, existing[name][0]) for name in consumed if existing.get(name)][:1]
        try:
            self.committed(places)
        except BrokerError as problem:
            return str(problem), isinstance(problem, (OneAwayError, NoBrokerError))
        return "", False

    def _why_no_producer(self) -> str:
        """Where it signs in otherwise than all that asked so far."""
        own = {name: value for name, value in self._settings.producer_properties.items() if name.startswith(OF_IDENTITY)}
        if not own:
            return ""
        self._refused = self._complaint = ""
        producer = self._made(Producer, own)
        why = ""
        for seconds in (FIRST_SECONDS, ANSWER_SECONDS):
            try:
                producer.list_topics("", seconds)  # no topic's name: of brokers only
            except KafkaException as problem:
                producer.poll(0)  # brings the complaints
                why = self._complaint or str(problem.args[0].str())
            else:
                return ""
            if self._refused:
                return self._refused
        return why

    def _why_no_transactions(self) -> Optional[Refusal]:
        """By an id of our own: with that of a process we would end its transactions."""
        properties = producer_properties(self._settings, f"{self._settings.host}-check")
        try:
            self._made(Producer, properties).init_transactions(ANSWER_SECONDS)
        except KafkaException as problem:
            return Refusal(problem.args[0].name(), problem.args[0].str())
        return None

    def _of_group(self) -> Tuple[Optional[List[Member]], str, Optional[FrozenSet[str]]]:
        """Its members, how they share partitions out, and what we may do with it."""
        try:
            found = self._description()
        except BrokerError:
            return None, "", None
        operations = found.authorized_operations
        rights = None if operations is None else frozenset(each.name for each in operations)
        return members_of(found), found.partition_assignor, rights


def _values(entries: Mapping[str, Any]) -> Dict[str, str]:
    return {name: str(entry.value) for name, entry in entries.items()}


def _schema_of(message: Any) -> Optional[int]:
    """The id of the schema that a message names, in the wire format of a registry; None: it names it in another way."""
    value = message.value()
    if value is None or any(name == GUID_HEADER for name, _ in readable_headers(message)):
        return None
    return int.from_bytes(value[1:FRAME], "big") if len(value) > FRAME and value[0] == 0 else UNFRAMED
