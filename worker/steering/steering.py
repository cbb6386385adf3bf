"""What operators have ordered, obeyed in one process: partitions pause and go on, messages are parked. Consumer thread only,
but for `order`.

A partition that is paused finishes what runs, starts and fetches nothing more, and goes on committing. When it goes away, or
the process ends, nothing more of it is started there either.
"""

from __future__ import annotations

import time
from typing import Callable, List, Tuple

from kafka_worker.kafka.consumer import GroupConsumer
from kafka_worker.kafka.incoming.prefetch import give_back
from kafka_worker.partitions.assignment import Assignment, Partition
from kafka_worker.parts import Parts
from kafka_worker.shared.ipc.orders import Order, Orders, Pauses
from kafka_worker.steering.parking import Parking


class Steering:
    """That of one process."""

    def __init__(self, parts: Parts, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is ordered."""
        self.parking = Parking(parts, clock)
        self._quarantine = parts.quarantine
        self._told: Tuple[int, Orders] = (0, ())  # how often we were told what is in force, and what it is
        self.known = 0  # by which of these it goes
        self._pauses = Pauses(())
        self._to_park: List[Order] = []
        self._steers = False  # whether anything is ordered, or was in the last turn

    def order(self, orders: Orders) -> None:
        """These are in force from now on. The main thread's."""
        self._told = (self.told + 1, orders)

    @property
    def told(self) -> int:
        """How often it was told what is in force. The main thread's."""
        return self._told[0]

    def turn(self, assignment: Assignment, consumer: GroupConsumer) -> bool:
        """Once in a turn, also while partitions are brought to rest; whether what may be started has changed."""
        told, orders = self._told  # read once: whole lists take the place of others
        if told != self.known:
            self.known, self._pauses = told, Pauses(orders)
            self._to_park = [order for order in orders if order.parks]
        if not (orders or self._steers):
            return False
        self._steers = bool(orders or len(self.parking))
        changed = [partition for partition in assignment if self._pause(partition, consumer)]
        if changed:
            self._quarantine.look_again()
        self.parking.turn(self._to_park, assignment)
        return bool(changed)

    def _pause(self, partition: Partition, consumer: GroupConsumer) -> bool:
        """Pause it, or let it go on, as is ordered; whether that is new."""
        flow = partition.flow
        order = self._pauses.of(partition.topic, partition.number, partition.retries_of)
        why = "" if order is None or flow.not_begun else order.in_words  # of what is not known yet nothing starts anyway
        if why and partition.closing.closed:
            partition.closing.abandon(0)  # nobody has to wait for what is not started
        if why == flow.suspended:
            return False
        flow.suspend(why)
        if why and flow.waiting and not flow.unread:
            give_back(consumer, partition)
        return True
