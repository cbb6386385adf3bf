"""A handler apart from other support: whoever imports the example has its hook."""

from __future__ import annotations

import os
from typing import Any, Dict

from examples.idempotent import process_message
from kafka_worker import Context
from tests.support.ledger import Ledger


def pay(message: Dict[str, Any], context: Context) -> None:
    """The example, which tells how often it was called."""
    Ledger(os.environ["LEDGER"]).write("start", f"{context.partition}-{context.offset}")
    process_message(message, context)
