"""Leaves the group in the seat of a static member that is no more, so that the group rebalances."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

from kafka_worker.kafka.consumer import GroupConsumer
from kafka_worker.kafka.listener import RebalanceListener
from kafka_worker.shared.ipc.snapshot import TopicPartition
from kafka_worker.shared.system.deadline import Deadline

LEAVE_SECONDS = 2.0
_POLL_SECONDS = 0.1


class _Nobody(RebalanceListener):
    """Whose partitions stay as they are: fetching them may have been what the member died of."""

    consumer: GroupConsumer

    def on_assigned(self, names: List[TopicPartition]) -> None:
        self.consumer.pause_from_the_start(names)


def leave_for(
    make: Callable[..., GroupConsumer],
    properties: Dict[str, Any],
    topics: List[str],
    goes_on: Callable[[GroupConsumer], bool],
    clock: Callable[[], float],
) -> bool:
    """Take the seat that `properties` name, and leave it in order. `goes_on` is asked all the time whether to wait on for the
    group. Whether the group has heard of it, or takes us no more."""
    nobody = _Nobody()
    nobody.consumer = consumer = make(properties, topics, nobody, clock)
    while not (consumer.joined or consumer.ending) and goes_on(consumer):
        consumer.fetch(1, _POLL_SECONDS)
    has_left = consumer.leave(Deadline(LEAVE_SECONDS, clock))
    consumer.close()
    return has_left or consumer.ending is not None
