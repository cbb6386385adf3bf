"""A span for each call of a handler, by OpenTelemetry's API alone: who exports what is the affair of the SDK, which the user
configures in a hook of the process. Imported where TRACING=on, and there alone; without it nothing of this stands between a
task and its handler.

Names and attributes are those of the semantic conventions for messaging, 1.44 (they are still in development there). The span
of one message is a child of the context that the message brings, and links to it; that of a batch has the links only. So all
attempts of a message, in retry topics too, its dead letter and its replays are one trace: its headers are passed on as they
are. A message that brings no context gets that of its first attempt that fails.

What a handler returns as `Send` begins in a span of its own (`create`), whose context it takes along, unless the handler has
given it one. Commits are not traced: they are about an offset, and no message.
"""

from __future__ import annotations

import contextlib
from typing import Any, Awaitable, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from opentelemetry import context as contexts
from opentelemetry import propagate, trace
from opentelemetry.propagators.textmap import Getter, Setter

from kafka_worker import __version__
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task, attempt_of, message_of
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.foreign.answers import Send
from kafka_worker.shared.foreign.errors import names_of, text_of, traceback_of
from kafka_worker.shared.foreign.headers import add, readable_headers
from kafka_worker.shared.system import forks

log = logs.logger(__name__)

SCHEMA = "https://opentelemetry.io/schemas/1.44.0"
LONGEST_TRACEBACK = 4000  # characters

Headers = List[Tuple[str, Any]]
OfMessage = Callable[[Any, Partition, int], Any]  # as `handler.loading.Call`, which may import this module
OfBatch = Callable[[Sequence[Task]], Tuple[Any, Dict[int, BaseException]]]


class _Reading(Getter[Headers]):
    def get(self, carrier: Headers, key: str) -> Optional[List[str]]:
        return [value.decode(errors="replace") for name, value in carrier if name == key and isinstance(value, bytes)] or None

    def keys(self, carrier: Headers) -> List[str]:
        return [name for name, _ in carrier]


class _Writing(Setter[Headers]):
    def set(self, carrier: Headers, key: str, value: str) -> None:
        carrier.append((key, value.encode()))


_READING, _WRITING = _Reading(), _Writing()


class Spans:
    """Makes the calls of handlers such that leave spans."""

    def __init__(self, group: str) -> None:
        """`group`: the consumer group."""
        self._tracer = trace.get_tracer("kafka_worker", __version__, schema_url=SCHEMA)
        self._group = group
        self._looked = False
        logs.tell_also(_ids)

    def of_call(self, call: OfMessage) -> OfMessage:
        """A call with one message."""

        def traced(message: Any, partition: Partition, attempt: int) -> Any:
            with self._of_message(message, attempt):
                return self._taken_along(call(message, partition, attempt))

        return traced

    def of_coroutine(self, call: OfMessage) -> Callable[[Any, Partition, int], Awaitable[Any]]:
        """The same of one that returns what is to be awaited."""

        async def traced(message: Any, partition: Partition, attempt: int) -> Any:
            with self._of_message(message, attempt):
                try:
                    return self._taken_along(await call(message, partition, attempt))
                finally:
                    if forks.copied:
                        forks.end()

        return traced

    def of_batch(self, call: OfBatch) -> OfBatch:
        """A call with a list of messages."""

        def traced(tasks: Sequence[Task]) -> Tuple[Any, Dict[int, BaseException]]:
            with self._of_tasks(tasks) as span:
                result, failures = call(tasks)
                if failures:
                    _failed(span, next(iter(failures.values())), [message_of(tasks[index]) for index in failures])
                    span.set_status(trace.StatusCode.ERROR, f"{len(failures)} of {len(tasks)} messages have failed")
                return self._taken_along(result), failures

        return traced

    @contextlib.contextmanager
    def _of_message(self, message: Any, attempt: int) -> Iterator[None]:
        """In the context of the message, what it says besides the trace (baggage) included."""
        brought = propagate.extract(readable_headers(message), getter=_READING)
        token = contexts.attach(brought)
        try:
            attributes = {"messaging.kafka.offset": message.offset(), "kafka_worker.attempt": int(attempt)}
            if message.value() is None:
                attributes["messaging.kafka.message.tombstone"] = True
            with self._span([message], attributes, _links([message], [brought])):
                yield
        finally:
            contexts.detach(token)

    def _of_tasks(self, tasks: Sequence[Task]) -> Any:
        messages = list(map(message_of, tasks))
        brought = [propagate.extract(readable_headers(message), contexts.Context(), _READING) for message in messages]
        attributes = {"messaging.batch.message_count": len(tasks), "kafka_worker.attempt": int(attempt_of(tasks[0]))}
        return self._span(messages, attributes, _links(messages, brought))

    @contextlib.contextmanager
    def _span(self, messages: List[Any], attributes: Dict[str, Any], links: List[trace.Link]) -> Iterator[trace.Span]:
        self._look()
        topic = messages[0].topic()
        common = {
            **_operation("process", topic),
            "messaging.destination.partition.id": str(messages[0].partition()),
            "messaging.consumer.group.name": self._group,
        }
        with self._tracer.start_as_current_span(
            f"process {topic}",
            kind=trace.SpanKind.CONSUMER,
            attributes={**common, **attributes},
            links=links,
            record_exception=False,  # it would ask the user's own error for its text, which may raise
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except BaseException as problem:
                _failed(span, problem, messages)
                raise

    def _taken_along(self, returned: Any) -> Any:
        """What a handler returned. Of what is to be produced a copy, with the context that it was created in: others may have
        the handler's own, too."""
        if isinstance(returned, Send):
            return self._created(returned)
        listed = list(returned) if isinstance(returned, (list, tuple)) else []
        if listed and all(isinstance(each, Send) for each in listed):
            return list(map(self._created, listed))
        return returned

    def _created(self, send: Send) -> Send:
        made = Send.checked(send)
        if not propagate.get_global_textmap().fields.intersection(name for name, _ in made.headers):
            with self._tracer.start_as_current_span(
                f"create {made.topic}", kind=trace.SpanKind.PRODUCER, attributes=_operation("create", made.topic)
            ):
                propagate.inject(made.headers, setter=_WRITING)
        return made

    def _look(self) -> None:
        """Whoever asks for spans, and has nothing that takes them, is told so once."""
        if self._looked:
            return
        self._looked = True
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            log.warning(
                "TRACING=on, and nothing in this process takes spans: a hook (@per_process) should call "
                "opentelemetry.trace.set_tracer_provider",
                extra=about(Event.NOT_TRACED),
            )


def _operation(name: str, topic: str) -> Dict[str, Any]:
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": name,
        "messaging.operation.type": name,
        "messaging.destination.name": topic,
    }


def _links(messages: List[Any], brought: List[contexts.Context]) -> List[trace.Link]:
    """To the context of each message that brings one."""
    pairs = [(message, trace.get_current_span(context).get_span_context()) for message, context in zip(messages, brought)]
    return [trace.Link(span, {"messaging.kafka.offset": message.offset()}) for message, span in pairs if span.is_valid]


def _failed(span: trace.Span, problem: BaseException, messages: List[Any]) -> None:
    """What the span tells of a failure; and messages that brought no context have that of this attempt from now on."""
    name, text = names_of(problem)[0], text_of(problem)
    kind = name[len("builtins.") :] if name.startswith("builtins.") else name
    told = {
        "exception.type": kind, "exception.message": text, "exception.stacktrace": traceback_of(problem, LONGEST_TRACEBACK),
    }  # fmt: skip
    span.add_event("exception", told)
    span.set_attribute("error.type", kind)
    span.set_status(trace.StatusCode.ERROR, text)
    if span.get_span_context().is_valid:
        headers: Headers = []
        propagate.inject(headers, setter=_WRITING)
        for message in messages:
            known = trace.get_current_span(propagate.extract(readable_headers(message), contexts.Context(), _READING))
            if not known.get_span_context().is_valid:
                add(message, headers)


def _ids() -> Dict[str, str]:
    """What log lines say that are written now, in this thread."""
    now = trace.get_current_span().get_span_context()
    if not now.is_valid:
        return {}
    return {"trace_id": trace.format_trace_id(now.trace_id), "span_id": trace.format_span_id(now.span_id)}
