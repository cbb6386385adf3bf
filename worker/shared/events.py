"""What happens in a service, in words that do not change: programs that read its log, and whoever lists its events, go by
these. And what else a record may say of itself, besides its text. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Dict

#: The names, in the order in which a line of JSON has them.
FIELDS = (
    "event", "process", "pid", "slot", "topic", "partition", "offset", "key_hash", "attempt", "error_type", "breaker",
    "reason", "user", "trace_id", "span_id",
)  # fmt: skip


class Event(str, Enum):
    """What a record tells of."""

    LOG_DROPPED = "log-dropped"  # nobody read the log for a while, and lines are missing


def about(event: Event, **fields: object) -> Dict[str, object]:
    """The `extra` of a log call: what it tells of, and what is known of that. Fields that are None are left out."""
    return {"event": event.value, **{name: value for name, value in fields.items() if value is not None}}
