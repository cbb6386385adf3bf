"""What the headers of messages in retry topics say, which we have written ourselves as a rule, and since when a message should
be done by what they say. Pure."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Iterable, Tuple

from kafka_worker.shared.foreign.deliver_at import time_of
from kafka_worker.shared.foreign.errors import InvalidMessageError
from kafka_worker.shared.foreign.headers import readable_headers

PREFIX = "retry."
_NUMBERS = ("partition", "offset", "timestamp", "attempt", "due-at", "first-failed-at")  # the last two in ms since 1970
OURS = frozenset(PREFIX + name for name in ("topic", *_NUMBERS))
MOST_DIGITS = 18
_LATEST = (1 << 63) - 1  # a timestamp, as Kafka has it: some producers write nanoseconds, which have 19 digits


def numbers_of(headers: Iterable[Tuple[str, Any]], first: str) -> Dict[str, int]:
    """The numbers of our headers of a message that came from topic `first`; nothing unless all are there and fit, because then
    they are not ours."""
    given = dict(headers)
    numbers = {name: given.get(PREFIX + name) for name in _NUMBERS}
    if given.get(PREFIX + "topic") != first.encode() or not all(_fits(*each) for each in numbers.items()):
        return {}
    return {name: int(value) for name, value in numbers.items() if value is not None}


def due_at(message: Any, first: str, *, scheduled: bool) -> float:
    """When a message, as it was delivered, should run at the earliest, in seconds since 1970: when it was produced; one of a
    retry topic, whose messages came from the topic `first`, when its wait is over; one with a time of its own (`scheduled`: it
    may have one), then. Not above 0: not known."""
    said = numbers_of(readable_headers(message), first) if first else {}
    due = float(said.get("due-at", message.timestamp()[1]) / 1000)
    return not_before(message, due) if scheduled else due


def not_before(message: Any, due: float) -> float:
    """This, or the time that the message has of its own, whichever is later."""
    with contextlib.suppress(InvalidMessageError):
        return max(due, time_of(message) or 0.0)
    return due


def _fits(name: str, value: Any) -> bool:
    if not isinstance(value, bytes) or not value.isdigit():
        return False
    return len(value) <= MOST_DIGITS or (name == "timestamp" and len(value) == MOST_DIGITS + 1 and int(value) <= _LATEST)
