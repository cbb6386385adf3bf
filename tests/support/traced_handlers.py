"""A handler whose spans are kept until the process ends in order, and then written to the file SPANS, a line each."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
from typing import Any, Iterator, Sequence

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from kafka_worker import Context, Retry, Send, per_process

LATE_MILLISECONDS = 600_000


class ToFile(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with open(os.environ["SPANS"], "a", encoding="utf-8") as file:
            file.write("".join(json.dumps({**json.loads(span.to_json()), "pid": os.getpid()}) + "\n" for span in spans))
        return SpanExportResult.SUCCESS


@per_process
def spans() -> Iterator[None]:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(ToFile(), schedule_delay_millis=LATE_MILLISECONDS))
    trace.set_tracer_provider(provider)
    yield
    provider.shutdown()


def work(message: Any, context: Context) -> Send:
    trace.get_current_span().set_attribute("id", message["id"])
    logging.getLogger(__name__).warning("works on %s", message["id"])
    if message["do"] == "fail":
        raise ValueError("never")
    if message["do"] == "later" and context.attempt == 1:
        raise Retry(after=1.0)
    if message["do"] == "fork":
        copy = multiprocessing.get_context("fork").Process(target=_in_the_copy)
        copy.start()
        copy.join()
    return Send(f"{context.topic}.results", message["id"], key=message["id"])


def _in_the_copy() -> None:
    with trace.get_tracer(__name__).start_as_current_span("of the copy"):
        pass
