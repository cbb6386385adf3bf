"""Room for messages: pauses and resumes partitions as their tasks in flight demand, by number and, with a MEMORY_LIMIT, by
weight. Consumer thread only."""

from __future__ import annotations

import time
from typing import Any, Callable, List

from kafka_worker.kafka.backpressure import Backpressure
from kafka_worker.kafka.consumer import GroupConsumer
from kafka_worker.kafka.weights import Weights
from kafka_worker.partitions.assignment import Assignment, Partition
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import memory

WAIT_SECONDS = 0.02  # quick handlers make room sooner than a pause would pay (it throws the prefetched messages away)
NAP_SECONDS = 0.0003


class Room:
    """Of one process."""

    def __init__(self, settings: Settings, hurried: Callable[[], bool], clock: Callable[[], float]) -> None:
        """`hurried()`: whether there is no time to wait for handlers."""
        self._backpressure = Backpressure(settings.max_in_flight)
        shares = memory.shares(settings)
        # What sleeps in retry topics has as much room as all else, and both together have the share.
        parts = 2 if settings.retry_topics else 1
        self._weights = Weights(shares.in_flight // parts, settings.max_in_flight) if shares else None
        self._hurried = hurried
        self._clock = clock

    def note(self, partition: Partition, batch: List[Any]) -> None:
        """These messages were just taken."""
        if self._weights:
            self._weights.note(partition, batch)

    def make(self, consumer: GroupConsumer, assignment: Assignment) -> int:
        """Pause and resume what must be; how many messages may be fetched now."""
        until = self._clock() + WAIT_SECONDS
        while True:
            numbers = [(partition, partition.tracker.in_flight) for partition in assignment]
            loads = [(partition, number, number, 1) for partition, number in numbers]
            if self._weights:
                loads = self._weights.weighed(loads)
            pause, resume, room = self._backpressure.decide(loads)
            if not pause or self._clock() >= until or self._hurried():
                break
            time.sleep(NAP_SECONDS)
        if pause:
            consumer.pause([(p.topic, p.number) for p in pause])
        if resume:
            consumer.resume([(p.topic, p.number) for p in resume])
        for partition in pause + resume:
            partition.paused = partition in pause
        return room
