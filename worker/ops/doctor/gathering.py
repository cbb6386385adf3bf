"""The Kafka client of the command `check`: asks a cluster for what the checks want to know. What may not be asked is left out,
and so is all behind a question that nobody answers."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence

from confluent_kafka import TopicCollection, TopicPartition
from confluent_kafka.admin import ConfigResource, OffsetSpec, ResourceType  # type: ignore[attr-defined]

from kafka_worker.ops.connection import ANSWER_SECONDS, BrokerError, NoBrokerError, PropertyError, partitions_of
from kafka_worker.ops.doctor.facts import UNKNOWN, Kafka, Topic
from kafka_worker.ops.lag.group import Group
from kafka_worker.ops.lag.rows import Member
from kafka_worker.shared import routes
from kafka_worker.shared.settings import Settings


def asked(settings: Settings) -> Kafka:
    """What the cluster says. Never raises for what it does not."""
    try:
        with Examined(settings) as cluster:
            return cluster.facts()
    except NoBrokerError as problem:
        return Kafka(away=str(problem))
    except PropertyError as problem:
        return Kafka(refused=str(problem))


class Examined(Group):
    """The cluster of a service. Use it in a `with`."""

    def facts(self) -> Kafka:
        """All that can be told. Raises NoBrokerError and PropertyError."""
        settings = self._settings
        metadata = self._metadata()
        existing = partitions_of(metadata)
        consumed = routes.consumed(settings, existing)
        letters = [name + settings.dead_letter_suffix for name in consumed if routes.RETRY_MARK not in name]
        described = self._topics(consumed, existing)
        brokers = sorted(metadata.brokers)
        return Kafka(
            brokers=len(brokers),
            consumed={name: replace(topic, newest=self._newest(name, existing)) for name, topic in described.items()},
            letters=self._topics(letters, existing),
            group_refused=self._why_not_committing(consumed, existing),
            members=self._members(),
            properties=self._properties(ResourceType.BROKER, [str(number) for number in brokers[:1]]).get(0, {}),
        )

    def _topics(self, names: Sequence[str], existing: Mapping[str, List[int]]) -> Dict[str, Topic]:
        there = [name for name in names if name in existing]
        properties = self._properties(ResourceType.TOPIC, there)
        operations = self._operations(there)
        found = {
            name: Topic(len(existing[name]), operations.get(name), properties.get(index, {}))
            for index, name in enumerate(there)
        }
        return {name: found.get(name, Topic(0)) for name in names}

    def _operations(self, names: Sequence[str]) -> Dict[str, Any]:
        """What we may do with each topic."""
        found = {}
        wanted = TopicCollection(list(names))
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

    def _properties(self, kind: Any, names: Sequence[str]) -> Dict[int, Dict[str, str]]:
        """The configuration of topics or brokers, by their places among the names."""
        resources = [ConfigResource(kind, name) for name in names]
        found = {}
        futures = self._admin.describe_configs(resources, request_timeout=ANSWER_SECONDS) if resources else {}
        for resource, future in futures.items():
            with contextlib.suppress(BrokerError):
                entries = self._answer(str(resource), future)
                found[names.index(resource.name)] = {name: str(entry.value) for name, entry in entries.items()}
        return found

    def _newest(self, name: str, existing: Mapping[str, Iterable[int]]) -> float:
        latest = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]
        places = {TopicPartition(name, number): latest for number in existing.get(name, ())}
        times = [UNKNOWN]
        for place, future in self._admin.list_offsets(places, request_timeout=ANSWER_SECONDS).items() if places else ():
            with contextlib.suppress(BrokerError):
                times.append(self._answer(str(place), future).timestamp / 1000)
        return max(times)

    def _why_not_committing(self, consumed: Sequence[str], existing: Mapping[str, Sequence[int]]) -> str:
        places = [(name, existing[name][0]) for name in consumed if existing.get(name)][:1]
        try:
            self.committed(places)
        except BrokerError as problem:
            return str(problem)
        return ""

    def _members(self) -> Optional[List[Member]]:
        try:
            return self.described()[1]
        except BrokerError:
            return None
