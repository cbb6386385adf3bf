"""Spans, on the SDK with its exporter in memory."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest
from opentelemetry import baggage, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from kafka_worker import tracing
from kafka_worker.handler.loading import HandlerError, load
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task, facts_of
from kafka_worker.shared.foreign.answers import BatchError, Reject, Send
from tests.unit.fakes import TOPIC, Message, some_settings

HERE = __name__
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
BROUGHT: List[Tuple[str, Optional[bytes]]] = [("traceparent", f"00-{TRACE}-{PARENT}-01".encode()), ("baggage", b"tenant=blue")]
OWN = f"00-{'a' * 32}-{'b' * 16}-01"

Seen = Dict[str, Any]
seen: List[Seen] = []


def plain(message: Any) -> Any:
    seen.append({**tracing._ids(), "tenant": baggage.get_baggage("tenant")})
    if message["do"] == "fail":
        raise Reject("no")
    if message["do"] == "exit":
        raise SystemExit(3)
    own = Send("own", 2, headers={"traceparent": OWN})
    return Send("results", 1, headers={"h": "1"}) if message["do"] == "send" else [Send("results", 1), own]


async def coroutine(message: Any) -> Any:
    await asyncio.sleep(0)
    return plain(message)


def batch(messages: List[Any]) -> Any:
    wrong = {place: ValueError("bad") for place, message in enumerate(messages) if message["do"] == "fail"}
    if wrong:
        raise BatchError(wrong)
    return Send("results", len(messages))


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Callable[[], List[ReadableSpan]]:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    monkeypatch.setattr("kafka_worker.shared.logs._also", dict)
    seen.clear()
    return lambda: list(exporter.get_finished_spans())


def message(do: str, headers: Optional[List[Tuple[str, Optional[bytes]]]] = None, offset: int = 7) -> Message:
    made = Message(offset, value=b'{"do": "%s"}' % do.encode())
    made.given_headers = headers
    return made


def called(function: str, it: Message, attempt: int = 1) -> Any:
    """What the handler's call returns, or the error that it raises."""
    call = load(f"{HERE}:{function}", some_settings(tracing="on")).call
    try:
        result = call(it, Partition(TOPIC, 0), attempt)
        return contextvars.Context().run(asyncio.run, result) if asyncio.iscoroutine(result) else result
    except BaseException as problem:
        return problem


def parent_of(span: ReadableSpan) -> Tuple[str, str]:
    assert span.parent
    return trace.format_trace_id(span.parent.trace_id), trace.format_span_id(span.parent.span_id)


def named(span: ReadableSpan) -> Tuple[str, str]:
    assert span.context
    return trace.format_trace_id(span.context.trace_id), trace.format_span_id(span.context.span_id)


@pytest.mark.parametrize("function", ["plain", "coroutine"])
def test_a_call_is_a_span_in_the_messages_trace_and_what_it_sends_takes_the_context_along(
    function: str, ended: Callable[[], List[ReadableSpan]]
) -> None:
    sent = called(function, message("send", BROUGHT))
    several = called(function, message("more", BROUGHT))
    created, process = ended()[:2]

    assert (process.name, process.kind, created.name, created.kind) == (
        f"process {TOPIC}", trace.SpanKind.CONSUMER, "create results", trace.SpanKind.PRODUCER,
    )  # fmt: skip
    assert (parent_of(process), parent_of(created)) == ((TRACE, PARENT), named(process))
    assert [trace.format_span_id(link.context.span_id) for link in process.links] == [PARENT]
    assert dict(process.attributes or {}) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": TOPIC,
        "messaging.destination.partition.id": "0",
        "messaging.consumer.group.name": "group",
        "messaging.kafka.offset": 7,
        "kafka_worker.attempt": 1,
    }
    assert sent.headers == [("h", b"1"), ("traceparent", "00-{}-{}-01".format(*named(created)).encode()), BROUGHT[1]]
    assert dict(several[1].headers)["traceparent"] == OWN.encode()  # the handler's own word stands
    assert seen[0] == {"trace_id": TRACE, "span_id": named(process)[1], "tenant": "blue"}
    assert tracing._ids() == {}  # nothing of it is left in this thread


@pytest.mark.parametrize("function", ["plain", "coroutine"])
def test_attempts_of_a_message_that_brings_no_context_are_one_trace_and_so_is_what_becomes_of_it(
    function: str, ended: Callable[[], List[ReadableSpan]]
) -> None:
    it = message("fail", [("mine", b"1")])
    errors = [called(function, it), called(function, it, attempt=2), called(function, message("exit"))]
    first, second, last = ended()
    header = dict(it.headers() or [])["traceparent"] or b""

    assert [type(error) for error in errors] == [Reject, Reject, SystemExit]
    assert (first.parent, parent_of(second)) == (None, named(first))
    assert tuple(header.decode().split("-")[1:3]) == named(first)  # what is passed on to other topics
    assert (it.headers() or [])[0] == ("mine", b"1")
    assert facts_of((7, None, it, None, 2, Partition(TOPIC, 0)))["trace_id"] == named(first)[0]  # type: ignore[arg-type]
    told = [(span.attributes or {})["error.type"] for span in (first, second, last)]
    assert told == ["kafka_worker.Reject", "kafka_worker.Reject", "SystemExit"]
    assert first.status.status_code is trace.StatusCode.ERROR
    assert [event.name for event in first.events] == ["exception"]


def test_a_batch_is_one_span_that_links_to_its_messages_and_names_what_failed_in_it(
    ended: Callable[[], List[ReadableSpan]],
) -> None:
    partition = Partition(TOPIC, 0)
    segment, _ = partition.tracker.take(0, 3)
    all_of_it = [message("work", BROUGHT, 0), message("work", None, 1), message("fail", None, 2)]
    tasks: List[Task] = [(place, segment, it, None, 1, partition) for place, it in enumerate(all_of_it)]
    call = load(f"{HERE}:batch", some_settings(tracing="on")).call

    _, failures = call(tasks)
    result, _ = call(tasks[:2])
    bad, created, good = ended()

    assert (list(failures), len(bad.links), bad.parent, good.parent) == ([2], 1, None, None)
    assert dict(bad.links[0].attributes or {}) == {"messaging.kafka.offset": 0}
    facts = dict(good.attributes or {})
    assert (facts["messaging.batch.message_count"], "messaging.kafka.offset" in facts) == (2, False)
    assert (bad.attributes or {})["error.type"] == "ValueError"
    assert bad.status.description == "1 of 3 messages have failed"
    assert parent_of(created) == named(good)
    assert dict(result.headers)["traceparent"].split(b"-")[2] == named(created)[1].encode()
    assert [bool(it.headers()) for it in all_of_it] == [True, False, True]


def test_without_tracing_nothing_stands_between_a_task_and_its_handler(ended: Callable[[], List[ReadableSpan]]) -> None:
    call = load(f"{HERE}:plain", some_settings()).call

    call(message("send", BROUGHT), Partition(TOPIC, 0), 1)

    assert call.__qualname__ == "_call.<locals>.without_context"
    assert ended() == []


def test_who_wants_spans_and_has_nothing_that_takes_them_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr("kafka_worker.shared.logs._also", dict)
    call = load(f"{HERE}:plain", some_settings(tracing="on")).call
    results = [call(message("send", BROUGHT), Partition(TOPIC, 0), 1) for _ in range(2)]

    assert [dict(result.headers)["traceparent"] for result in results] == [BROUGHT[0][1]] * 2  # passed on all the same
    assert len([record for record in caplog.records if "takes spans" in record.message]) == 1


def test_without_the_library_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kafka_worker.tracing", None)

    with pytest.raises(HandlerError, match=r"TRACING=on needs .*pip install -r requirements-tracing\.txt"):
        load(f"{HERE}:plain", some_settings(tracing="on"))
