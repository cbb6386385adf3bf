"""The handler contract: `process_message(message)` gets the decoded JSON value of a Kafka message (None for a tombstone).
A handler that takes a second parameter also gets a `Context`. What it returns is ignored; what it raises is a failed attempt.

Loading happens once, in the child's main thread; decoding and calling in the handler threads.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any, Callable, List, Optional, Tuple

from worker.assignment import Partition

#: Calls the user's function for (Kafka message, its partition, attempt).
Call = Callable[[Any, Partition, int], Any]


class HandlerError(Exception):
    """The setting HANDLER names nothing that can be called; the text says what and why."""


class UndecodableError(Exception):
    """The message is not UTF-8 encoded JSON. Trying again would not change that."""


class Context:
    """What a handler may know of its message, and of how much time it has. Valid during the call only."""

    __slots__ = ("_message", "_partition", "attempt")

    def __init__(self, message: Any, partition: Partition, attempt: int) -> None:
        """Made by the handler thread; reads the Kafka message only when asked."""
        self._message = message
        self._partition = partition
        self.attempt = attempt  # 1 at the first

    @property
    def topic(self) -> str:
        """Topic the message came from."""
        return self._partition.topic

    @property
    def partition(self) -> int:
        """Partition the message came from."""
        return self._partition.number

    @property
    def offset(self) -> int:
        """The message's place in its partition; with topic and partition a name for the task that never changes."""
        return int(self._message.offset())

    @property
    def key(self) -> Optional[bytes]:
        """Key as produced, or None."""
        return self._message.key()  # type: ignore[no-any-return]

    @property
    def headers(self) -> List[Tuple[str, Optional[bytes]]]:
        """Headers as produced; a name may come twice, a value may be None. Raises UndecodableError for a name not in UTF-8."""
        return headers_of(self._message)

    @property
    def timestamp(self) -> Optional[float]:
        """When the message was produced (or appended, as the topic is configured): seconds since 1970, or None."""
        kind, milliseconds = self._message.timestamp()
        return milliseconds / 1000 if kind else None

    @property
    def cancelled(self) -> bool:
        """True when the service stops or the partition is taken away. A handler that can should come to its end: by
        returning when it is done (that counts until `deadline`), by raising when it is not (the task runs again elsewhere)."""
        return self._partition.closed

    @property
    def deadline(self) -> Optional[float]:
        """The `time.monotonic()` after which this task's result counts no more; None while nothing presses."""
        return self._partition.deadline


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


def load(name: str, decoder: Callable[[Optional[bytes]], Any] = decode) -> Call:
    """The handler `module:function`, ready to be called. Raises HandlerError, also for whatever its import raises."""
    function = _imported(name)
    if _takes_context(function, name):
        return lambda message, partition, attempt: function(decoder(message.value()), Context(message, partition, attempt))
    return lambda message, _partition, _attempt: function(decoder(message.value()))


def _imported(name: str) -> Callable[..., Any]:
    module_name, _, function_name = name.partition(":")
    try:
        function = functools.reduce(getattr, function_name.split("."), importlib.import_module(module_name))
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # a user's module may raise anything, SystemExit included
        raise HandlerError(
            "HANDLER=%s cannot be imported: %s: %s (wanted: module:function, importable from the folder the service runs in)"
            % (name, type(problem).__name__, problem)
        ) from problem
    if not callable(function):
        raise HandlerError("HANDLER=%s is a %s, not a function" % (name, type(function).__name__))
    if any(kind(function) for kind in (iscoroutinefunction, isgeneratorfunction, isasyncgenfunction)):
        raise HandlerError("HANDLER=%s is a coroutine or generator, whose call does nothing; wanted: a function" % name)
    return function


def _takes_context(function: Callable[..., Any], name: str) -> bool:
    """Whether the function wants the context. Raises HandlerError when it can take neither one nor two arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a builtin without a signature
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p for p in signature.parameters.values() if p.kind in positional and p.default is inspect.Parameter.empty]
    for arguments in (2, 1):
        try:
            signature.bind(*range(arguments))
        except TypeError:
            continue
        if arguments == 1 or len(required) == 2:  # noqa: PLR2004 (message and context; an optional second is the user's own)
            return arguments == 2  # noqa: PLR2004
    raise HandlerError(
        "HANDLER=%s takes %s; wanted: process_message(message) or process_message(message, context)" % (name, signature)
    )
