"""A service that hears what operators order."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Optional

from kafka_worker.shared.ipc.control import Caller
from kafka_worker.shared.settings import Settings
from kafka_worker.supervision.aside import Aside
from kafka_worker.supervision.callers.order_requests import OrderRequests
from kafka_worker.supervision.callers.orders_file import OrdersFile
from kafka_worker.supervision.callers.standing_orders import StandingOrders
from kafka_worker.supervision.slots.slot import Slot
from tests.unit import reports
from tests.unit.supervision.at_once import AtOnce
from tests.unit.supervision.puppet import Puppet

ORDERS, THREE, ALL = {"topic": "orders"}, {"topic": "orders", "partition": 5}, {"topic": ""}
MESSAGE = {**THREE, "offset": 120}
NOW = 1_700_000_000.0


class Bench:
    """A service with one process, which has orders/5: committed 100, and it ends at 220."""

    def __init__(self, settings: Settings) -> None:
        self.now = 100.0
        self.settings = settings
        self.puppet = Puppet()
        self.puppet.says("consuming", partitions=[reports.PARTITION])
        self.slot = Slot(3, self.now)
        self.slot.child = self.puppet.child
        self.start()

    def start(self, aside: Optional[Aside] = None) -> None:
        """The service begins, or begins anew."""
        self.file = OrdersFile(self.settings, lambda: self.now, aside or AtOnce())
        self.standing = StandingOrders(self.file, {3: self.slot}, lambda: NOW + self.now)
        self.requests = OrderRequests(self.settings, self.standing, {3: self.slot}, lambda: self.now, lambda: NOW + self.now)

    def order(self, command: str, place: Dict[str, Any], reason: Any = "why", **more: Any) -> Optional[Dict[str, Any]]:
        request = {"command": command, **place, "reason": reason, **more}
        self.later = getattr(self.requests, command)(request, Caller(4711, os.getuid()))
        return self.later()  # type: ignore[no-any-return]

    @property
    def places(self) -> List[str]:
        return [str(order.place) for order in self.standing.orders]

    def heard(self) -> List[Any]:
        """What the process was told, after a turn."""
        self.standing.turn()
        return [message["orders"] for message in self.puppet.line.receive()]
