"""Handlers of any kind, called with one message and waited for: so a task process runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

from kafka_worker import start
from kafka_worker.handler.batch import BatchCall
from kafka_worker.handler.loading import Call, Kind
from kafka_worker.handler.routing import Handlers
from kafka_worker.partitions.assignment import Partition

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

Note = Callable[[Any], None]


def call_of(handlers: Handlers, loop: Optional[AbstractEventLoop] = None, note: Note = lambda _: None) -> Call:
    """Calls the handler of a message's topic, and returns when it is done. Coroutines run on `loop`, which stays: what a
    handler keeps from one call to the next may belong to it. `note` is told of each coroutine when it begins, and of None
    behind it: who looks at the thread alone sees the loop, and not where the handler waits."""
    calls: Dict[Kind, Call] = {
        kind: _single(kind, handlers.call_of_kind(kind), loop, note) for kind in Kind if handlers.of_kind(kind)
    }
    if len(calls) == 1:
        return next(iter(calls.values()))
    return lambda message, partition, attempt: calls[_kind_of(handlers, partition)](message, partition, attempt)


def _kind_of(handlers: Handlers, partition: Partition) -> Kind:
    # A topic without a handler: any call says what is wrong with it.
    return handlers.kind_of(partition.queue.topic) or next(kind for kind in Kind if handlers.of_kind(kind))


def _single(kind: Kind, call: Any, loop: Optional[AbstractEventLoop], note: Note) -> Call:
    if kind is Kind.BATCH:
        return _Batch(call)
    return _Coroutine(call, loop or start.late("asyncio").new_event_loop(), note) if kind is Kind.ASYNC else call


class _Batch:
    """A batch handler that is called with one message."""

    def __init__(self, call: BatchCall) -> None:
        self._call = call

    def __call__(self, message: Any, partition: Partition, attempt: int) -> Any:
        segment, _ = partition.tracker.take(message.offset())
        result, failures = self._call([(message.offset(), segment, message, None, attempt, partition)])
        if failures:
            raise failures[0]
        return result


class _Coroutine:
    """A coroutine, on a loop."""

    def __init__(self, call: Call, loop: AbstractEventLoop, note: Note) -> None:
        self._call = call
        self._loop = loop
        self._note = note
        self._set_event_loop = start.late("asyncio").set_event_loop

    def __call__(self, message: Any, partition: Partition, attempt: int) -> Any:
        self._set_event_loop(self._loop)
        coroutine = self._call(message, partition, attempt)
        self._note(coroutine)
        try:
            return self._loop.run_until_complete(coroutine)
        finally:
            self._note(None)
