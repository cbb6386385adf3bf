"""What is sent, once and with the offset of its message: who reads what is committed sees both results of an order or none,
and never twice, however often this function has run.

    DELIVERY=exactly-once HANDLER=examples.transactional:process_message python supervisor.py

Readers need `isolation.level=read_committed`, which is the default of ours. What a handler does elsewhere is another matter:
see idempotent.py.
"""

from __future__ import annotations

from typing import Any, Dict, List

from kafka_worker import Reject, Send


def process_message(order: Dict[str, Any]) -> List[Send]:
    """An order is a payment and a parcel."""
    if order["cents"] <= 0:
        raise Reject("nothing to pay")  # the dead letter is in a transaction, too
    return [
        Send("payments", {"order": order["id"], "cents": order["cents"]}, key=order["customer"]),
        Send("parcels", {"order": order["id"], "item": order["item"]}, key=order["customer"]),
    ]
