"""The handler contract: what the user's function may look like, and how it is called. `process_message(message)` gets the
decoded JSON value of a Kafka message (None for a tombstone); if the type hint of the parameter names a pydantic model or a
msgspec Struct, it gets one of those. One that takes a second parameter also gets a `Context`. The same as `async def` is a
coroutine handler; a function whose first parameter is called `messages` is a batch handler (see `batch`). What a handler
returns is ignored, unless it is a `Send`; what it raises is a failed attempt.

Loading happens once, in the child's main thread; decoding and calling in the handler threads.
"""

from __future__ import annotations

import functools
import inspect
from enum import Enum
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import TYPE_CHECKING, Any, Callable, Dict, NamedTuple, Optional

from kafka_worker import start
from kafka_worker.handler.batch import BatchCall
from kafka_worker.handler.context import Context
from kafka_worker.handler.decoding import Decoder, WithContext, decode
from kafka_worker.handler.formats import FormatError
from kafka_worker.handler.formats.function import of_function
from kafka_worker.handler.validation.schema import SchemaError
from kafka_worker.handler.validation.typed import HintError, element_of, hint_of
from kafka_worker.handler.validation.validation import decoder_for
from kafka_worker.shared.foreign.errors import quoted
from kafka_worker.shared.foreign.functions import NoFunctionError, imported_with_care
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import forks
from kafka_worker.shared.topic_settings import TopicSettings

if TYPE_CHECKING:
    from kafka_worker.partitions.assignment import Partition

#: Calls the user's function for (Kafka message, its partition, attempt). That of a coroutine handler returns what is to be
#: awaited.
Call = Callable[[Any, "Partition", int], Any]

CONTEXT = ("context", "contexts")
WANTED = "process_message(message) or process_message(message, context), or the same with messages, a list"


class HandlerError(Exception):
    """A setting names nothing that can be called; the text says what and why."""


class Kind(Enum):
    """How a handler is called."""

    THREAD = "thread"  # one message, in a handler thread
    BATCH = "batch"  # a list of messages, in a handler thread
    ASYNC = "async"  # one message, as a coroutine of the event loop


class Handler(NamedTuple):
    """A handler, ready to be called."""

    name: str  # module:function
    kind: Kind
    call: Any  # a BatchCall for a batch handler, else a Call
    # The same with the settings of a topic, made once for each table; None: they make no difference.
    with_settings: Optional[Callable[[TopicSettings], Any]] = None


def load(name: str, settings: Optional[Settings] = None, setting: str = "HANDLER") -> Handler:
    """The handler `module:function`, which `setting` names, ready to be called with what the settings let through. Raises
    HandlerError, also for whatever its import raises."""
    source = f"{setting}={name}"
    return ready(_function(name, source, settings), name, source, settings)


def ready(function: Callable[..., Any], name: str, source: str, settings: Optional[Settings] = None) -> Handler:
    """The same of a function that is here already; `source` says in texts which one is meant."""
    kind = _kind(function, source)
    takes_context = _takes_context(function, source)
    if settings is None:
        return Handler(name, kind, _call(function, kind, decode, takes_context=takes_context))

    made: Dict[str, Any] = {}  # by table: at the start, so that no handler thread has to import anything

    def with_settings(own: TopicSettings) -> Any:
        if own.table not in made:
            call = _call(function, kind, _decoder(function, kind, source, own, settings), takes_context=takes_context)
            made[own.table] = _traced(call, kind, settings) if settings.tracing == "on" else call
        return made[own.table]

    return Handler(name, kind, with_settings(settings), with_settings)


def _call(function: Callable[..., Any], kind: Kind, decoder: Decoder, *, takes_context: bool) -> Any:
    if kind is Kind.BATCH:
        return BatchCall(function, decoder, takes_contexts=takes_context)
    if isinstance(decoder, WithContext):
        return (_in_loop if kind is Kind.ASYNC else _in_thread)(function, decoder, takes_context=takes_context)

    def with_context(message: Any, partition: Partition, attempt: int) -> Any:
        try:
            return function(decoder(message.value()), Context(message, partition, attempt))
        finally:
            if forks.copied:
                forks.end()

    def without_context(message: Any, _partition: Partition, _attempt: int) -> Any:
        try:
            return function(decoder(message.value()))
        finally:
            if forks.copied:
                forks.end()

    return with_context if takes_context else without_context


def _traced(call: Any, kind: Kind, settings: Settings) -> Any:
    """The call, which leaves a span."""
    try:
        from kafka_worker.tracing import Spans  # here, because its library may be missing
    except ImportError as problem:
        what = "pip install -r requirements-tracing.txt (or 'kafka-worker[tracing]')"
        raise HandlerError(f"TRACING=on needs OpenTelemetry's API ({problem}). Do: {what}, or leave TRACING out") from problem
    spans = Spans(settings.group_id)
    wraps: Dict[Kind, Callable[[Any], Any]] = {
        Kind.THREAD: spans.of_call, Kind.ASYNC: spans.of_coroutine, Kind.BATCH: spans.of_batch,
    }  # fmt: skip
    return wraps[kind](call)


def _in_thread(function: Callable[..., Any], decoder: WithContext, *, takes_context: bool) -> Call:
    def call(message: Any, partition: Partition, attempt: int) -> Any:
        context = Context(message, partition, attempt)
        try:
            value = decoder(message.value(), context)
            return function(value, context) if takes_context else function(value)
        finally:
            if forks.copied:
                forks.end()

    return call


def _in_loop(function: Callable[..., Any], decoder: WithContext, *, takes_context: bool) -> Call:
    asyncio = start.late("asyncio")

    async def call(message: Any, partition: Partition, attempt: int) -> Any:
        context, value = Context(message, partition, attempt), message.value()
        try:
            if decoder.may_wait(value, context):  # in another thread: all other calls would wait, too
                value = await asyncio.get_running_loop().run_in_executor(None, decoder, value, context)
            else:
                value = decoder(value, context)
            return await (function(value, context) if takes_context else function(value))
        finally:
            if forks.copied:
                forks.end()

    return call


def _decoder(function: Callable[..., Any], kind: Kind, source: str, own: TopicSettings, settings: Settings) -> Decoder:
    hint = hint_of(function)
    try:
        by_function = _decoding_function(own.decoder, settings)
        hint = element_of(hint) if kind is Kind.BATCH else hint
        return decoder_for(hint, own, settings.registry_properties, by_function)
    except HintError as problem:
        raise HandlerError(f"{source}: {problem}") from problem
    except FormatError as problem:
        raise HandlerError(f"{source}: DECODER={own.decoder} can't be used: {problem}") from problem
    except SchemaError as problem:
        raise HandlerError(str(problem)) from problem


def _decoding_function(name: str, settings: Settings) -> Optional[Decoder]:
    """What DECODER names, if that is a function."""
    if ":" not in name:
        return None
    source = f"DECODER={name}"
    function = _function(name, source, settings)
    if _kind(function, source) is Kind.ASYNC:
        raise HandlerError(f"{source} is an async function; wanted: a plain one")
    return of_function(function, takes_context=_takes_context(function, source, "decode(value) or decode(value, context)"))


def _function(name: str, source: str, settings: Optional[Settings]) -> Callable[..., Any]:
    try:
        return imported_with_care(name, source, settings, apart=settings is not None and settings.isolation == "process")
    except NoFunctionError as problem:
        raise HandlerError(str(problem)) from problem


def _kind(function: Callable[..., Any], source: str) -> Kind:
    """What the function's form says. Raises HandlerError for forms whose call would do nothing."""
    innermost = function.func if isinstance(function, functools.partial) else function  # a partial of a partial is one
    if inspect.isclass(innermost):
        raise HandlerError(f"{source} is a class, whose call makes an object and no more; wanted: a function")
    if isinstance(innermost, functools._lru_cache_wrapper):  # noqa: SLF001 (there is no other name for it)
        raise HandlerError(f"{source} is cached: of two equal messages the second would do nothing; wanted: a plain function")
    forms = (innermost, getattr(innermost, "__call__", None))  # noqa: B004 (an object with a method of that name)
    if any(generator(form) for form in forms for generator in (isgeneratorfunction, isasyncgenfunction)):
        raise HandlerError(f"{source} is a generator, whose call does nothing; wanted: a function, without yield")
    is_batch = _first_parameter(function) == "messages"
    if not any(iscoroutinefunction(form) for form in forms):
        return Kind.BATCH if is_batch else Kind.THREAD
    if is_batch:
        raise HandlerError(
            f"{source} is an async function of messages, a list; wanted: an async function of one message, of "
            "which COROUTINES run at once, or a plain function of messages"
        )
    try:
        start.late("asyncio").new_event_loop().close()
    except Exception as problem:  # the user's policy, which a thread of ours would meet
        raise HandlerError(f"{source} sets an event loop policy that makes no loop: {quoted(problem)}") from problem
    return Kind.ASYNC


def _first_parameter(function: Callable[..., Any]) -> str:
    """Its name; empty where none can be told."""
    try:
        return next(iter(inspect.signature(function).parameters), "")
    except (TypeError, ValueError):  # a builtin without a signature
        return ""


def _takes_context(function: Callable[..., Any], source: str, wanted: str = WANTED) -> bool:
    """Whether the function wants the context. Raises HandlerError when it can take neither one nor two arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a builtin without a signature
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    accepted = [p for p in signature.parameters.values() if p.kind in positional]
    required = [p for p in accepted if p.default is inspect.Parameter.empty]
    named = any(p.name in CONTEXT for p in accepted[1:2])  # an optional second of another name is the user's own
    for arguments in (2, 1):
        try:
            signature.bind(*range(arguments))
        except TypeError:
            continue
        if arguments == 1 or named or len(required) == 2:  # noqa: PLR2004 (message and context)
            return arguments == 2  # noqa: PLR2004
    raise HandlerError(f"{source} takes {signature}; wanted: {wanted}")
