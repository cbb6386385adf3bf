"""The handler contract: `process_message(message)` gets the decoded JSON value of a Kafka message (None for a tombstone).
If the type hint of the parameter names a pydantic model or a msgspec Struct, it gets one of those. A handler that takes a
second parameter also gets a `Context`. What it returns is ignored; what it raises is a failed attempt.

Loading happens once, in the child's main thread; decoding and calling in the handler threads.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any, Callable, Optional

from service.settings import Settings
from worker.assignment import Partition
from worker.context import Context
from worker.decoding import decode
from worker.schema import SchemaError
from worker.typed import Decoder, HintError, hint_of
from worker.validation import decoder_for

#: Calls the user's function for (Kafka message, its partition, attempt).
Call = Callable[[Any, Partition, int], Any]


class HandlerError(Exception):
    """The setting HANDLER names nothing that can be called; the text says what and why."""


def load(name: str, settings: Optional[Settings] = None) -> Call:
    """The handler `module:function`, ready to be called with what the settings let through. Raises HandlerError, also for
    whatever its import raises."""
    function = _imported(name)
    decoder = _decoder(function, name, settings) if settings else decode
    if _takes_context(function, name):
        return lambda message, partition, attempt: function(decoder(message.value()), Context(message, partition, attempt))
    return lambda message, _partition, _attempt: function(decoder(message.value()))


def _decoder(function: Callable[..., Any], name: str, settings: Settings) -> Decoder:
    try:
        return decoder_for(hint_of(function), settings)
    except HintError as problem:
        raise HandlerError("HANDLER=%s: %s" % (name, problem)) from problem
    except SchemaError as problem:
        raise HandlerError(str(problem)) from problem


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
