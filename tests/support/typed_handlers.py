"""Handlers that name the type they want. Apart from the others, whose processes then need not import these libraries."""

from __future__ import annotations

import os
from typing import Any

from pydantic import BaseModel

from tests.support.ledger import Ledger


class Order(BaseModel):
    """What `of_order` takes."""

    id: str
    price: float


def of_order(order: Order, context: Any) -> None:
    """Writes into the ledger that it was called, and so what with."""
    ledger = Ledger(os.environ["LEDGER"])
    place = {"partition": context.partition, "offset": context.offset, "attempt": context.attempt}
    ledger.write("end", f"{order.id} for {order.price:.2f}", None, **place)
