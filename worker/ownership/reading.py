"""Partitions that can't be read any further: held, while the others go on, and tried again."""

from __future__ import annotations

import math
from typing import Any, Callable, Iterable, List

from kafka_worker.kafka.consumer import GroupConsumer
from kafka_worker.partitions.assignment import Partition
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.settings import Settings
from kafka_worker.standstill.unreadable import Fault

log = logs.logger(__name__)

UNREADABLE_SECONDS = 5.0  # between two tries to read on: what is damaged stays so, room and rights may come back


class Reading:
    """How far partitions can be read. Consumer thread only."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        """All can be."""
        self._settings = settings
        self._clock = clock

    def hold(self, partition: Partition, fault: Fault) -> bool:
        """Nothing more of it can be read. Returns whether that is news."""
        try_at = self._clock() + UNREADABLE_SECONDS if fault.may_pass else math.inf
        if not partition.flow.unreadable(fault.text(self._settings), fault.offset, try_at):
            return False
        held = about(Event.PARTITION_HELD, **partition.facts, reason=partition.flow.unread)
        log.error("%s is held, the others go on, and nothing is lost: %s", partition, partition.flow.unread, extra=held)
        return True

    def try_again(self, consumer: GroupConsumer, held: Iterable[Partition], now: float) -> None:
        """Try those of these again that could not be read, when it is time."""
        for partition in list(held):
            if now >= partition.flow.try_at and not partition.flow.suspended:
                partition.flow.try_again()
                consumer.rewind(partition.name, partition.flow.unread_at)

    @staticmethod
    def readable(partition: Partition, batch: List[Any]) -> List[Any]:
        """Those of these messages that do not lie behind what could not be read. The partition may go on by that."""
        readable = partition.flow.readable(batch, partition.expected)
        if not partition.flow.unread:
            log.info(
                "%s goes on: offset %d can be read now",
                partition, batch[0].offset(), extra=about(Event.PARTITION_GOES_ON, **partition.facts),
            )  # fmt: skip
        return readable
