"""The orders of operators that are in force on this host: kept in a file, told to every process of the service, and obeyed
there (`steering`)."""

from __future__ import annotations

import time
from typing import Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Set

from kafka_worker.shared import logs
from kafka_worker.shared.configuration.words.place import Place
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.ipc.health import Kind
from kafka_worker.shared.ipc.orders import Order
from kafka_worker.shared.ipc.snapshot import Condition, OrderReport
from kafka_worker.supervision.callers.orders_file import OrdersFile
from kafka_worker.supervision.children.child import Child
from kafka_worker.supervision.slots.slot import Slot

log = logs.logger(__name__)

MOST_OUTCOMES = 100  # of messages that were to be parked, for who has ordered it


class StandingOrders:
    """Those of one supervisor."""

    def __init__(self, file: OrdersFile, slots: Mapping[int, Slot], wall: Callable[[], float] = time.time) -> None:
        """As they were when the service ended. `slots`: by their numbers, as they are at any time; `wall`: since 1970."""
        self._file = file
        self._slots = slots
        self._wall = wall
        self.orders = file.read()
        self.outcomes: Dict[Place, str] = {}  # of messages that were to be parked, the newest
        for order in self.orders:
            what, event = ("to be parked", Event.PARK_ORDERED) if order.parks else ("paused", Event.PAUSED)
            log.warning("As ordered before, %s is %s: %s", order.place, what, order.in_words, extra=about_order(event, order))

    @property
    def problem(self) -> str:
        """Why they are not kept; empty: they are."""
        return self._file.problem

    @property
    def pending(self) -> bool:
        """Whether it is not known yet if they can be kept."""
        return self._file.pending

    def turn(self) -> None:
        """Once in a turn of the supervisor's loop: what is over or done ends, and each process knows what is in force."""
        ended = [*self._over(), *self._parked()]
        if ended:
            self.keep(order for order in self.orders if order not in ended)
        self._file.write_owed(self.orders)
        self.tell()

    def tell(self) -> None:
        """Each process knows what is in force."""
        for child in self._children():
            child.order(self.orders)

    def keep(self, orders: Iterable[Order]) -> None:
        """These are in force from now on."""
        self.orders = tuple(orders)
        self._file.write(self.orders)

    def reports(self, orders: Optional[Iterable[Order]] = None) -> List[OrderReport]:
        """What the snapshot says of them; of these alone, if given."""
        now, sent = self._wall(), self.sent()
        return [
            OrderReport(
                *order.place, order.reason, order.by, max(0.0, now - order.since), _left(order, now), order.place in sent
            )
            for order in (self.orders if orders is None else orders)
        ]

    def sent(self) -> Set[Place]:
        """The messages whose letters are on their way, or stored: nothing that is ordered of these is taken back."""
        return {place for place, outcome in self._told().items() if outcome in ("sent", "parked")}

    def silent(self) -> List[int]:
        """The slots whose processes have not said yet that they go by these orders."""
        return sorted({child.slot for child in self._children() if not child.goes_by(self.orders)})

    def conditions(self) -> List[Condition]:
        """That they are not kept, if so."""
        return [Condition(Kind.ORDERS.value, None, self.problem)] if self.problem else []

    def _over(self) -> List[Order]:
        """Those whose time is over."""
        now = self._wall()
        over = [order for order in self.orders if order.until is not None and order.until <= now]
        for order in over:
            log.warning(
                "%s goes on: its pause is over: %s", order.place, order.in_words, extra=about_order(Event.RESUMED, order)
            )
        return over

    def _parked(self) -> List[Order]:
        """Those that a process has gone by for good."""
        told = self._told()
        ended = [order for order in self.orders if order.parks and told.get(order.place, "sent") != "sent"] if told else []
        for order in ended:
            self.outcomes[order.place] = told[order.place]
            while len(self.outcomes) > MOST_OUTCOMES:
                del self.outcomes[next(iter(self.outcomes))]
        return ended

    def _told(self) -> Dict[Place, str]:
        """What processes say of messages that were to be parked."""
        reports = [child.report for child in self._children() if child.report is not None and child.report.parked]
        return {Place(each.topic, each.partition, each.offset): each.outcome for report in reports for each in report.parked}

    def _children(self) -> Iterator[Child]:
        return (child for slot in self._slots.values() for child in (slot.child, slot.successor) if child is not None)


def about_order(event: Event, order: Order) -> Dict[str, object]:
    """What a log record says of an order."""
    topic, partition, offset = order.place
    return about(event, topic=topic or None, partition=partition, offset=offset, reason=order.reason, user=order.by)


def _left(order: Order, now: float) -> float:
    return -1.0 if order.until is None else max(0.0, order.until - now)
