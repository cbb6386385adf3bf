"""What a task process does with handlers of any kind."""

from __future__ import annotations

import asyncio
from typing import Any, Iterator, List

import pytest

from kafka_worker.handler import single
from kafka_worker.handler.loading import Call
from kafka_worker.handler.routing import Handlers
from kafka_worker.partitions.assignment import Partition
from kafka_worker.shared.foreign.answers import BatchError, Reject
from tests.unit.fakes import Message, some_settings

HERE = __name__


def one(message: Any, context: Any) -> Any:
    return message, context.attempt


async def coroutine(message: Any, context: Any) -> Any:
    await asyncio.sleep(0)
    return message, context.attempt


async def the_loop(_message: Any) -> Any:
    return asyncio.get_running_loop()


def batch(messages: List[Any], contexts: List[Any]) -> Any:
    if messages == ["bad"]:
        raise BatchError({0: Reject("bad")})
    return messages[0], contexts[0].attempt


@pytest.fixture(autouse=True)
def _loops_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The product leaves that to the end of the process."""
    made: List[asyncio.AbstractEventLoop] = []
    make = asyncio.new_event_loop
    monkeypatch.setattr(asyncio, "new_event_loop", lambda: made.append(make()) or made[-1])  # type: ignore[func-returns-value]
    yield
    for loop in made:
        loop.close()
    asyncio.set_event_loop(None)


def call_of(*entries: str) -> Call:
    handlers = tuple(f"{entry[0]}={HERE}:{entry[2:]}" for entry in entries)
    return single.call_of(Handlers(some_settings(handlers=handlers)).usable())


@pytest.mark.parametrize("name", ["one", "coroutine", "batch"])
def test_each_kind_is_called_with_one_message_and_waited_for(name: str) -> None:
    assert call_of("a=" + name)(Message(5, value=b"7"), Partition("a", 0), 2) == (7, 2)


def test_each_topic_has_its_own_kind() -> None:
    call = call_of("a=one", "b=coroutine", "c=batch")

    assert [call(Message(0, value=b"7"), Partition(topic, 0), 1) for topic in "abc"] == [(7, 1)] * 3


def test_a_failure_in_a_batch_of_one_is_that_of_its_message() -> None:
    with pytest.raises(Reject):
        call_of("a=batch")(Message(0, value=b'"bad"'), Partition("a", 0), 1)


def test_all_calls_of_a_coroutine_handler_have_the_same_loop() -> None:
    call = call_of("a=the_loop")

    assert call(Message(0), Partition("a", 0), 1) is call(Message(1), Partition("a", 0), 1)
