"""Partitions that should be read from another offset than where the client is. What still comes of them before that is of no
use."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Set

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from kafka_worker.shared import logs
from kafka_worker.shared.ipc.snapshot import TopicPartition

log = logs.logger(__name__)

BEGINNING, END = OFFSET_BEGINNING, OFFSET_END


class Rewinds:
    """Those of one client. Consumer thread only."""

    def __init__(self) -> None:
        """None yet."""
        self.places: Dict[TopicPartition, int] = {}  # the offset from which each is to be read
        self._resting: Set[TopicPartition] = set()  # those of them that stay paused before

    def add(self, name: TopicPartition, offset: int, *, when_resumed: bool) -> None:
        """See `GroupConsumer.rewind`. From the lowest on, whoever wants it: what lies before has nobody any more."""
        self.places[name] = min(offset, self.places.get(name, offset))
        (self._resting.add if when_resumed else self._resting.discard)(name)

    def resumed(self, names: Iterable[TopicPartition]) -> None:
        """These rest no more."""
        self._resting.difference_update(names)

    def forget(self, names: Iterable[TopicPartition]) -> None:
        """These come or go: where they should have been read from means nothing any more."""
        self._resting.difference_update(names)
        for name in names:
            self.places.pop(name, None)

    def seek(self, consumer: Consumer) -> None:
        """Have the client read them from there. It refuses before it has begun to fetch: these are tried again."""
        for name, offset in list(self.places.items()):
            if name in self._resting:
                continue
            place = ClientPartition(*name, offset)
            try:
                consumer.resume([place])
                consumer.seek(place)
            except KafkaException as problem:
                log.debug("%s[%d] can't be read from elsewhere yet: %s", *name, problem)
            else:
                del self.places[name]

    def without(self, batch: List[Any]) -> List[Any]:
        """Which of these messages are of other partitions."""
        return [message for message in batch if (message.topic(), message.partition()) not in self.places]
