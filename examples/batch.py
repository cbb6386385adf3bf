"""A list of messages at a time, for what is cheaper so: rows of one INSERT, a request with many parts."""

from __future__ import annotations

import logging
from typing import Any, Dict, List

from kafka_worker import BatchError, Reject

log = logging.getLogger(__name__)
ROWS: List[Dict[str, Any]] = []  # in the place of a table


def process_messages(messages: List[Dict[str, Any]]) -> None:
    """Store them. Those that can't be stored are named by their place in the list; the others are done."""
    failed = {place: Reject("no id") for place, message in enumerate(messages) if "id" not in message}
    ROWS.extend(message for place, message in enumerate(messages) if place not in failed)
    log.info("%d rows", len(messages) - len(failed))
    if failed:
        raise BatchError(failed)
