"""What operators have ordered: that partitions pause, and that messages are parked. The supervisor keeps the orders and tells
them to its processes, which go by them. Pure.
"""

from __future__ import annotations

from json import dumps, loads
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

from kafka_worker.shared.configuration.words.place import Place
from kafka_worker.shared.routes import LONGEST_TOPIC

VERSION = 1
MOST = 1000  # orders
LONGEST_REASON = 200  # characters
REASON = f"one line of 1 to {LONGEST_REASON} characters that can be shown"  # what is wanted of one
LONGEST_NAME = 300  # of who has ordered it
LARGEST = 2**63 - 1  # the broker's greatest offset

EVERYTHING = Place("")


class Order(NamedTuple):
    """One of an operator: to pause what is at a place, or, where that is a single message, to park it."""

    place: Place
    reason: str
    by: str  # user@host
    since: float  # seconds since 1970
    until: Optional[float] = None  # when it ends by itself; None: it does not

    @property
    def parks(self) -> bool:
        """Whether it is about a message."""
        return self.place.offset is not None

    @property
    def in_words(self) -> str:
        """Why, and whose it is."""
        return f"{self.reason} ({self.by})"


Orders = Tuple[Order, ...]


class Pauses:
    """Those of the orders that pause something, ready to be asked often."""

    def __init__(self, orders: Iterable[Order]) -> None:
        """The orders do not change."""
        self._orders: Dict[Place, Order] = {order.place: order for order in orders if not order.parks}

    def of(self, topic: str, number: int, retries_of: str = "") -> Optional[Order]:
        """The narrowest that pauses this partition. Who pauses a topic means its retry topics (`retries_of`) too."""
        for place in (Place(topic, number), Place(topic), Place(retries_of or topic), EVERYTHING):
            if place in self._orders:
                return self._orders[place]
        return None


def as_rows(orders: Iterable[Order]) -> List[List[Any]]:
    """As plain data."""
    return [[*order.place, *order[1:]] for order in orders]


def of_rows(rows: Any) -> Orders:
    """The reverse. Raises ValueError for whatever is not ours."""
    if not isinstance(rows, list) or len(rows) > MOST:
        raise ValueError(f"not a list of at most {MOST} orders")
    return tuple(map(_order, rows))


def encoded(orders: Iterable[Order]) -> str:
    """As text, one order a line, for a person to read."""
    lines = ",\n".join(map(dumps, as_rows(orders)))
    return f'{{"version": {VERSION}, "orders": [\n{lines}\n]}}\n'


def decoded(text: str) -> Orders:
    """The reverse. Raises ValueError for whatever is not ours."""
    try:
        content = loads(text)
        if content["version"] != VERSION:
            raise ValueError(f"version {content['version']!r}")
        return of_rows(content["orders"])
    except (TypeError, KeyError, RecursionError) as problem:
        raise ValueError(f"{type(problem).__name__}: {problem}") from problem


def _order(row: Any) -> Order:
    if not isinstance(row, list) or len(row) != len(Place._fields) + len(Order._fields) - 1:
        raise ValueError(f"not an order: {row!r:.100}")
    topic, partition, offset, reason, by, since, until = row
    fits = (
        _is_text(topic, LONGEST_TOPIC)
        and (_is_number(partition) or (partition is None and offset is None))
        and (topic != "" or partition is None)
        and (offset is None or _is_number(offset))
        and is_reason(reason)
        and _is_text(by, LONGEST_NAME)
        and _is_time(since)
        and (until is None or _is_time(until))
    )
    if not fits:
        raise ValueError(f"not an order: {row!r:.100}")
    return Order(Place(topic, partition, offset), reason, by, float(since), None if until is None else float(until))


def is_reason(value: Any) -> bool:
    """Whether it is `REASON`."""
    return _is_text(value, LONGEST_REASON) and value.strip() != ""


def _is_text(value: Any, longest: int) -> bool:
    return isinstance(value, str) and len(value) <= longest and value.isprintable()


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


def _is_time(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST  # which NaN is not
