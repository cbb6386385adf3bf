"""All handlers of a process."""

from __future__ import annotations

from typing import Any, List

import pytest

from kafka_worker.check import faults
from kafka_worker.handler import loading
from kafka_worker.handler.loading import HandlerError, Kind
from kafka_worker.handler.routing import Handlers, UnroutedError
from kafka_worker.partitions.assignment import Partition
from kafka_worker.shared.foreign.errors import UndecodableError
from tests.unit.fakes import Message, some_settings

HERE = __name__


def one(message: Any) -> Any:
    return "one", message


def other(message: Any) -> Any:
    return "other", message


async def coroutine(_message: Any) -> None: ...


def batch(messages: List[Any]) -> None: ...


def made(*entries: str, **changes: Any) -> Handlers:
    named = tuple(f"{topic}={HERE}:{name}" for topic, name in (entry.split("=") for entry in entries))
    topics = tuple(entry.split("=")[0] for entry in entries)
    return Handlers(some_settings(handlers=named, topics=topics, **changes))


def test_each_topic_has_its_handler_and_each_handler_is_loaded_once() -> None:
    handlers = made("a=one", "b=coroutine", "^c=batch", "d=one").usable()

    assert [handlers.kind_of(topic) for topic in ("a", "b", "c3", "d", "e")] == [
        Kind.THREAD, Kind.ASYNC, Kind.BATCH, Kind.THREAD, None,
    ]  # fmt: skip
    assert len(handlers.by_name) == 3


def test_a_single_handler_is_called_without_a_look_at_the_topic() -> None:
    handlers = Handlers(some_settings(handler=HERE + ":one"))

    assert handlers.call_of_kind(Kind.THREAD) is handlers.by_name[HERE + ":one"].call


def test_several_handlers_are_called_by_topic() -> None:
    call = made("a=one", "^b=other").call_of_kind(Kind.THREAD)

    assert [call(Message(0, value=b"7"), Partition(topic, 0), 1) for topic in ("a", "b2")] == [("one", 7), ("other", 7)]
    with pytest.raises(UnroutedError, match="no entry of HANDLERS matches c"):
        call(Message(0), Partition("c", 0), 1)


def test_all_faults_are_found_together() -> None:
    entries = (f"a={HERE}:missing", "b=no.such.module:f", f"c={HERE}:one", f"d={HERE}:batch")
    settings = some_settings(handlers=entries, topics=("a", "b", "c", "d"), ordering="partition")

    found = faults(settings)

    assert [fault.split(" ")[0] for fault in found] == [
        f"HANDLERS={HERE}:missing", "HANDLERS=no.such.module:f", "ORDERING=partition",
    ]  # fmt: skip
    with pytest.raises(HandlerError, match="cannot be imported"):
        Handlers(settings).usable()


@pytest.mark.parametrize("name", ["batch", "coroutine"])
def test_task_processes_are_for_functions_of_one_message(name: str) -> None:
    (fault,) = made(f"a={name}", isolation="process").faults

    assert fault.startswith("ISOLATION=process")


def test_a_handler_of_several_topics_gets_the_messages_of_each_by_the_settings_of_that_topic() -> None:
    own = {"^short": {"max_message_bytes": 2}}
    handlers = Handlers(some_settings(handler=HERE + ":one", topics=("short", "long"), topic_tables=own)).usable()
    call = handlers.call_of_kind(Kind.THREAD)

    assert call(Message(0, value=b"777"), Partition("long", 0), 1) == ("one", 777)
    with pytest.raises(UndecodableError, match="3 bytes"):
        call(Message(0, value=b"777"), Partition("short", 0), 1)


def decoding(value: Any) -> Any:
    return "decoded", value


@pytest.mark.parametrize("table", ["short", "^sho"])
def test_the_first_message_of_a_topic_finds_its_decoder_imported(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import looks at the whole process, and handler threads work meanwhile."""
    own = {table: {"decoder": HERE + ":decoding"}}
    handlers = Handlers(some_settings(handler=HERE + ":one", topics=("short", "^sh"), topic_tables=own)).usable()
    call, imported = handlers.call_of_kind(Kind.THREAD), []

    def noted(name: str, *_: object, **_more: object) -> Any:
        imported.append(name)
        return decoding

    monkeypatch.setattr(loading, "imported_with_care", noted)

    assert call(Message(0, value=b"7"), Partition("short", 0), 1) == ("one", ("decoded", b"7"))
    assert imported == []


def test_settings_of_topics_that_do_not_say_how_messages_are_read_put_nothing_before_the_handler() -> None:
    handlers = Handlers(some_settings(handler=HERE + ":one", topic_tables={"topic": {"max_attempts": 1}}))

    assert handlers.call_of_kind(Kind.THREAD) is handlers.by_name[HERE + ":one"].call


@pytest.mark.parametrize(
    ("own", "fault"),
    [
        ({"b": {"ordering": "partition"}}, "ORDERING=partition leaves one message at a time to"),
        ({"a": {"ordering": "partition"}}, ""),
        ({"^b": {"message_schema": "/no/such/file"}}, "MESSAGE_SCHEMA=/no/such/file"),
        ({"^.$": {"ordering": "partition"}, "b": {"priority": 2}}, ""),
    ],
)
def test_what_is_wrong_between_a_handler_and_the_settings_of_a_topic_is_found_at_the_start(own: Any, fault: str) -> None:
    entries = (f"a={HERE}:one", f"b={HERE}:batch")

    found = faults(some_settings(handlers=entries, topics=("a", "b"), topic_tables=own))

    assert [each[: len(fault)] for each in found] == ([fault] if fault else [])
