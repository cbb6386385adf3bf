"""What the headers of messages in retry topics say, which we have written ourselves as a rule. Pure."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Tuple

PREFIX = "retry."
_NUMBERS = ("partition", "offset", "timestamp", "attempt", "due-at", "first-failed-at")  # the last two in ms since 1970
OURS = frozenset(PREFIX + name for name in ("topic", *_NUMBERS))
MOST_DIGITS = 18


def told(headers: Iterable[Tuple[str, Any]], first: str) -> Dict[str, int]:
    """The numbers of our headers of a message that came from topic `first`; nothing unless all are there and fit, because then
    they are not ours."""
    given = dict(headers)
    numbers = {name: given.get(PREFIX + name) for name in _NUMBERS}
    if given.get(PREFIX + "topic") != first.encode() or not all(map(_is_number, numbers.values())):
        return {}
    return {name: int(value) for name, value in numbers.items() if value is not None}


def _is_number(value: Any) -> bool:
    return isinstance(value, bytes) and value.isdigit() and len(value) <= MOST_DIGITS
