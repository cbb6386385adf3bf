"""Where partitions that are just being assigned begin, and which of them are paused from the start. Consumer thread only."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping

from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as ClientPartition

from kafka_worker.kafka.incoming.rewinds import BEGINNING, END
from kafka_worker.kafka.properties import EARLIEST, LATEST, is_cooperative
from kafka_worker.shared.ipc.snapshot import TopicPartition

RESET = "auto.offset.reset"
_RESETS = {  # what it says; `error` says nothing
    **dict.fromkeys(EARLIEST, BEGINNING),
    **dict.fromkeys(LATEST, END),
}


class Beginnings:
    """Those of one assignment after the other."""

    def __init__(self, properties: Dict[str, Any]) -> None:
        """`properties` are the consumer's."""
        self._reset = str(properties.get(RESET))
        self.latest = _RESETS.get(self._reset) == END
        self._sizes: Dict[str, int] = {}  # how many partitions each topic had when we joined
        self._cooperative = is_cooperative(properties)
        self._paused: List[TopicPartition] = []
        self._told: Dict[TopicPartition, ClientPartition] = {}

    def joined(self, sizes: Mapping[str, int]) -> None:
        """The group takes us, and our topics have so many partitions."""
        self._sizes = self._sizes or dict(sizes)

    def at_the_end(self, name: TopicPartition) -> bool:
        """Whether it begins at its end, if the group has committed nothing of it: not if it was added to its topic since we
        joined, because what came before we have it would be lost."""
        topic, number = name
        return self.latest and number < self._sizes.get(topic, number + 1)

    def clear(self) -> None:
        """Others are being assigned now, of which nothing is known."""
        self._paused, self._told = [], {}

    def pause(self, names: List[TopicPartition]) -> None:
        """Nothing of these must be fetched before they are resumed."""
        self._paused = names

    def told(self, places: Iterable[ClientPartition]) -> Dict[TopicPartition, ClientPartition]:
        """What the broker holds of them, as far as it has told, by their names."""
        self._told = {(place.topic, place.partition): place for place in places if place.error is None}
        return self._told

    def assign(self, consumer: Consumer, partitions: List[ClientPartition]) -> None:
        """Take these as assigned. What the client is not told it does by itself after the callback: a pause before the
        assignment does not last, though. And where it asks itself for what is committed, a broker that is no coordinator any
        more has it wait for ever, and where nothing is, it waits 100 ms (librdkafka 2.16, `handle_OffsetFetch`,
        `rd_kafka_offset_reset`)."""
        if self._told or self._paused:
            places = [self._place(place) for place in partitions]
            (consumer.incremental_assign if self._cooperative else consumer.assign)(places)
        if self._paused:
            consumer.pause([ClientPartition(*name) for name in self._paused])

    def _place(self, partition: ClientPartition) -> ClientPartition:
        """Where it begins: at what is committed, or else where `auto.offset.reset` says, if that is known."""
        name = partition.topic, partition.partition
        told = self._told.get(name)
        if told is None:
            return partition
        epoch = -1 if told.leader_epoch is None else told.leader_epoch
        offset = told.offset if told.offset >= 0 else _RESETS.get(self._reset, told.offset)
        if offset == END and not self.at_the_end(name):
            offset = BEGINNING
        return ClientPartition(*name, offset, leader_epoch=epoch)
