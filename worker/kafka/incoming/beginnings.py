"""Where partitions that are just being assigned begin, and which of them are paused from the start. Consumer thread only."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Set

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
        self._sizes: Dict[str, int] = {}  # how many partitions each topic had when we joined, or when it came
        self._cooperative = is_cooperative(properties)
        self._paused: Set[TopicPartition] = set()
        self._told: Dict[TopicPartition, ClientPartition] = {}

    def joined(self, sizes: Mapping[str, int]) -> None:
        """The group takes us, and these topics have so many partitions."""
        self._sizes = {**sizes, **self._sizes}

    def clear(self) -> None:
        """Others are being assigned now, of which nothing is known."""
        self._paused, self._told = set(), {}

    def pause(self, names: Iterable[TopicPartition]) -> None:
        """Nothing of these must be fetched before they are resumed."""
        self._paused.update(names)

    def told(self, places: Iterable[ClientPartition]) -> Dict[TopicPartition, ClientPartition]:
        """What the broker holds of them, as far as it has told, by their names."""
        self._told = {(place.topic, place.partition): place for place in places if place.error is None}
        return self._told

    def assign(self, consumer: Consumer, partitions: List[ClientPartition]) -> None:
        """Take these as assigned. What the client is not told it does by itself after the callback: a pause before the
        assignment does not last, though. And where it asks itself for what is committed, a broker that is no coordinator any
        more has it wait for ever, and where nothing is, it waits 100 ms (librdkafka 2.16, `handle_OffsetFetch`,
        `rd_kafka_offset_reset`). So what is paused because nobody was told stands at its first message meanwhile."""
        if self._told or self._paused:
            places = [self._place(place) for place in partitions]
            (consumer.incremental_assign if self._cooperative else consumer.assign)(places)
        if self._paused:
            consumer.pause([ClientPartition(*name) for name in self._paused])

    def _place(self, partition: ClientPartition) -> ClientPartition:
        """Where it begins, if that is known."""
        name = (partition.topic, partition.partition)
        told = self._told.get(name)
        if told is None:
            return ClientPartition(*name, BEGINNING) if name in self._paused else partition
        epoch = -1 if told.leader_epoch is None else told.leader_epoch
        return ClientPartition(*name, self.of(name, told.offset), leader_epoch=epoch)

    def of(self, name: TopicPartition, committed: int) -> int:
        """Where what is committed of it has it begin: there, or if nothing is (-1001), where `auto.offset.reset` says. But not
        at its end if it, or its topic, was made since we joined: what came before we have it would be lost."""
        offset = committed if committed >= 0 else _RESETS.get(self._reset, committed)
        topic, number = name
        return BEGINNING if offset == END and number >= self._sizes.get(topic, number + 1) else offset
