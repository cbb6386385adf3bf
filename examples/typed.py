"""A message with a type. With pydantic it is the same: a model in the place of the Struct."""

from __future__ import annotations

import logging
from typing import List

import msgspec

log = logging.getLogger(__name__)


class Line(msgspec.Struct):
    """Of an order."""

    item: str
    number: int = 1


class Order(msgspec.Struct):
    """What must come: anything else is a dead letter, and says `/lines/0/number: Expected int, got str`."""

    id: int
    lines: List[Line]


def process_message(order: Order) -> None:
    """Pack an order."""
    for line in order.lines:
        log.info("order %d: %d times %s", order.id, line.number, line.item)
