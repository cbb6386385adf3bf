"""The headers of a Kafka message, of which a name may not be UTF-8, and the trace that they say it belongs to."""

from __future__ import annotations

import re
from typing import Any, List, Optional, Sequence, Tuple

from kafka_worker.shared.foreign.errors import UndecodableError

# W3C's header `traceparent`: version, trace, the span that it was sent in, flags.
_TRACE = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?\Z")
DEAD_LETTER = "dead-letter."  # how the names of headers begin that the service adds to a dead letter
REPLAYS = DEAD_LETTER + "replays"  # how often a message was sent back from the dead letters, so that a loop is noticed


class _Lost(List[Tuple[str, Any]]):
    """What stands in place of headers that can't be read."""


def headers_of(message: Any) -> List[Tuple[str, Any]]:
    """The headers of a Kafka message. Raises UndecodableError when a name is not UTF-8. The client fails then, and would crash
    the process if it were asked again, so that a header that says so takes their place."""
    try:
        headers: List[Tuple[str, Any]] = message.headers() or []
    except SystemError:
        headers = _lost()
        message.set_headers(headers)
    if isinstance(headers, _Lost):
        raise UndecodableError("the name of a header is not UTF-8")
    return headers


def readable_headers(message: Any) -> List[Tuple[str, Any]]:
    """The headers without raising, for whoever passes a message on: those that are lost say so."""
    try:
        return headers_of(message)
    except UndecodableError:
        return _lost()


def add(message: Any, headers: Sequence[Tuple[str, Any]]) -> None:
    """Give the message these headers too: whatever is made of it from now on has them."""
    known = readable_headers(message)
    message.set_headers(type(known)([*known, *headers]))


def _lost() -> _Lost:
    return _Lost([("headers-lost", b"the name of one is not UTF-8")])


def trace_id_of(message: Any) -> Optional[str]:
    """The trace that the message belongs to, if its headers say so in W3C's form."""
    told = [value for name, value in readable_headers(message) if name == "traceparent" and isinstance(value, bytes)]
    found = _TRACE.match(told[-1]) if told else None
    return found[1].decode() if found else None
