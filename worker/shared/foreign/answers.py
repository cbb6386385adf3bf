"""What a handler may raise or return to say what should become of its message. It imports them from the package itself:

    from kafka_worker import BatchError, Reject, Retry, Send

Anything else that a handler raises is a failed attempt, and is tried again after the usual back-off; anything else that it
returns is ignored.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from json import dumps, loads
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from kafka_worker.shared.foreign.deliver_at import HEADER, written
from kafka_worker.shared.foreign.texts import plain_bytes, plain_text

_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}\Z")

Headers = Union[Mapping[str, Union[str, bytes, None]], Sequence[Tuple[str, Union[str, bytes, None]]]]


class Retry(Exception):  # noqa: N818 (a wish, not an error)
    """Try again, `after` so many seconds (or a timedelta) if given, else after the usual back-off. It counts as an attempt:
    the wish of the last one is not heard, and the message becomes a dead letter."""

    def __init__(self, reason: str = "", after: Union[float, timedelta, None] = None) -> None:
        """`reason` goes into the log and into the dead letter. Raises TypeError where the wait stands in its place."""
        if after is None and isinstance(reason, (int, float, timedelta)):  # beside a wait it may be a status of HTTP
            raise TypeError(f"the reason of a Retry is a text, not {reason!r}; to wait that long: Retry(after={reason!r})")
        super().__init__(reason)
        self.after = after.total_seconds() if isinstance(after, timedelta) else after


class Reject(Exception):  # noqa: N818 (a wish, not an error)
    """This message will never work: make it a dead letter now, without another attempt."""

    def __init__(self, reason: str = "") -> None:
        """`reason` goes into the log and into the dead letter."""
        super().__init__(reason)


class ItemError(Exception):
    """What a batch handler said of one message, where it gave words in place of an exception."""


class BatchError(Exception):
    """Raised by a batch handler: these messages of its list have failed, and all others are done, as if it had returned
    `results` for those."""

    def __init__(
        self, failures: Mapping[int, Union[BaseException, str]], results: Union[Send, Sequence[Send], None] = None
    ) -> None:
        """`failures`: index in the list (0 is the first) to an exception, which counts as if that message alone had raised
        it (Retry and Reject too), or to words. Raises ValueError when there are none: then all would count as done."""
        if not failures:
            raise ValueError("a BatchError must name the messages that failed")
        if not isinstance(failures, Mapping):
            raise TypeError(f"a BatchError wants {{index: error}}, not a {type(failures).__name__}")
        self.failures: Dict[int, BaseException] = {
            index: failure if isinstance(failure, BaseException) else ItemError(str(failure))
            for index, failure in failures.items()
        }
        self.results = results
        super().__init__("failed: " + ", ".join(map(str, self.failures)))

    def __reduce__(self) -> Tuple[Any, ...]:
        """As what it was made of: a pool of the handler's own may bring it from another process."""
        return type(self), (self.failures, self.results)


class Send:
    """Returned by a handler, alone or in a list: produce this message. It is stored before the offset of the handler's own
    message may be committed, so it is sent at least once, and again when the handler's message runs again."""

    __slots__ = ("headers", "key", "topic", "value")

    def __init__(
        self,
        topic: str,
        value: Any,
        key: Union[str, bytes, None] = None,
        headers: Optional[Headers] = None,
        deliver_at: Union[datetime, float, None] = None,
    ) -> None:
        """`value`: bytes as they are, text as UTF-8, None for a tombstone, anything else as JSON. `deliver_at`: a datetime
        with its zone, or seconds since 1970; a service with DELIVER_AT_MAX_SECONDS handles it then, and not before. Raises
        TypeError or ValueError for what can't be written so, here, where the handler's own traceback shows it."""
        self.topic = plain_text(topic) if isinstance(topic, str) else ""
        if not _TOPIC.match(self.topic):
            raise ValueError(f"the topic of a Send must be 1 to 249 letters, digits, . _ -, not {topic!r}")
        self.value = _bytes("value", value if value is None or isinstance(value, (bytes, str)) else _json(value))
        self.key = _bytes("key", key)
        pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
        self.headers: List[Tuple[str, Optional[bytes]]] = [(_name(name), _bytes("header", each)) for name, each in pairs]
        if deliver_at is not None:
            self.headers.append((HEADER, written(deliver_at).encode()))

    def __eq__(self, other: object) -> bool:
        """Whether both say the same, whatever the order of names in their JSON: for tests of handlers."""
        return _facts(self) == _facts(other) if isinstance(other, Send) else NotImplemented  # `mock.ANY` knows

    def __hash__(self) -> int:
        """Equal where they are."""
        return hash((self.topic, self.key))

    def __repr__(self) -> str:
        """As one would write it."""
        more = "".join(f", {name}={value!r}" for name, value in (("key", self.key), ("headers", self.headers)) if value)
        return f"{type(self).__name__}({self.topic!r}, {_decoded(self.value)!r}{more})"

    def checked(self) -> Send:
        """A copy of it as it is now, which nobody else can change. Raises as at first, for what was changed into what can't be
        written."""
        return Send(self.topic, self.value, self.key, self.headers)


def _facts(send: Send) -> Tuple[object, ...]:
    return send.topic, _decoded(send.value), send.key, send.headers


def _decoded(value: Optional[bytes]) -> Any:
    try:
        return value if value is None else loads(value)
    except ValueError:
        return value


def _name(name: Any) -> str:
    """Raises ValueError for what the Kafka client would crash at, or cut short."""
    plain = plain_text(name if isinstance(name, str) else str(name))
    plain.encode()
    if "\0" in plain:
        raise ValueError(f"the name of a header must not have a NUL in it: {plain!r}")
    return plain


def _json(value: Any) -> str:
    return dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _bytes(what: str, value: Union[str, bytes, None]) -> Optional[bytes]:
    if value is None:
        return None
    if isinstance(value, bytes):
        return plain_bytes(value)
    if isinstance(value, str):
        return plain_text(value).encode()
    raise TypeError(f"the {what} of a Send must be text, bytes or None, not {type(value).__name__}")


for _public in (BatchError, Reject, Retry, Send):
    _public.__module__ = "kafka_worker"  # where handlers find them, and so what the log and dead letters call them
