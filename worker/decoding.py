"""From the bytes of a Kafka message to what a handler gets. Runs in the handler threads; whatever is wrong with a message is
said by `UndecodableError`, which makes it a dead letter at once. Pure.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any, List, Optional, Tuple


class UndecodableError(Exception):
    """The message is not UTF-8 encoded JSON. Trying again would not change that."""


def decode(value: Optional[bytes]) -> Any:
    """The JSON value of a message, None for a tombstone. Raises UndecodableError."""
    if value is None:
        return None
    try:
        return json.loads(value.decode("utf-8"))
    except (ValueError, RecursionError) as problem:  # also UnicodeDecodeError, and integers of over 4,300 digits
        raise UndecodableError("%s: %s" % (type(problem).__name__, problem)) from problem


def headers_of(message: Any) -> List[Tuple[str, Any]]:
    """The headers of a Kafka message. Raises UndecodableError, once, when a name is not UTF-8: the client fails then, and
    would crash the process if it were asked again, so that a header that says so takes their place."""
    try:
        return message.headers() or []
    except SystemError as problem:
        message.set_headers([("headers-lost", b"the name of one is not UTF-8")])
        raise UndecodableError("the name of a header is not UTF-8") from problem


def readable_headers(message: Any) -> List[Tuple[str, Any]]:
    """The same without raising, for whoever passes a message on: headers that are lost say so."""
    with contextlib.suppress(UndecodableError):
        headers_of(message)
    return headers_of(message)
