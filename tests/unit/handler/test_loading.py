from __future__ import annotations

import asyncio
import functools
import queue
import threading
from pathlib import Path
from typing import Any, List, Optional

import pytest

from kafka_worker.handler import loading
from kafka_worker.handler.context import Context
from kafka_worker.handler.decoding import decode
from kafka_worker.handler.loading import HandlerError, Kind
from kafka_worker.partitions.assignment import Partition
from kafka_worker.shared.foreign.errors import UndecodableError
from tests.unit.fakes import Message

HERE = __name__


def one(message: Any) -> Any:
    return message


def with_context(message: Any, context: Context) -> Any:
    return message, context


def with_an_optional_second(message: Any, own: str = "own") -> Any:
    return message, own


def with_an_optional_context(message: Any, context: Optional[Context] = None) -> Any:
    return message, context


def of_any_number(*arguments: Any) -> Any:
    return arguments


def none() -> None:
    """Can't take a message."""


def three(_a: Any, _b: Any, _c: Any) -> None:
    """Wants too much."""


def keyword_only(message: Any, *, option: Any) -> None:
    """Can't be called with a message alone."""


async def coroutine(message: Any, context: Context) -> Any:
    return message, context.offset


async def coroutine_of_messages(messages: List[Any]) -> None:
    """Two forms at once."""


def messages(messages: List[Any], contexts: List[Context]) -> Any:
    return [(message, context.offset) for message, context in zip(messages, contexts)]


class Async:
    async def __call__(self, message: Any) -> Any:
        return message


an_async_object = Async()


def generator(message: Any) -> Any:
    yield message


async def async_generator(message: Any) -> Any:
    yield message


class Holder:
    @staticmethod
    def inner(message: Any) -> Any:
        return message

    def method(self, message: Any) -> Any:
        return message


holder = Holder()
cached = functools.lru_cache(maxsize=None)(one)
partial = functools.partial(with_an_optional_second, own="partial's")
partial_of_an_async_object = functools.partial(an_async_object)
partial_of_a_generator = functools.partial(generator)
partial_of_a_class = functools.partial(functools.partial(Holder))


number = 7


def called(name: str, message: Message) -> Any:
    return loading.load(f"{HERE}:{name}").call(message, Partition("topic", 3), 2)


@pytest.mark.parametrize("name", ["one", "Holder.inner"])
def test_a_handler_gets_the_decoded_value(name: str) -> None:
    assert called(name, Message(0, value=b'{"a": [1, "\xc3\xa4"]}')) == {"a": [1, "ä"]}


def test_a_handler_with_two_parameters_gets_the_context_too() -> None:
    value, context = called("with_context", Message(41, value=b"1", partition=3))

    assert value == 1
    assert (context.topic, context.partition, context.offset, context.attempt) == ("topic", 3, 41, 2)


def test_an_optional_second_parameter_is_the_handlers_own() -> None:
    assert called("with_an_optional_second", Message(0, value=b"1")) == (1, "own")


def test_a_context_that_is_optional_for_a_test_of_the_users_own_is_given_all_the_same() -> None:
    _, context = called("with_an_optional_context", Message(41, value=b"1"))

    assert context.offset == 41


def test_a_handler_of_any_number_of_arguments_gets_the_message_alone() -> None:
    assert called("of_any_number", Message(0, value=b"1")) == (1,)


@pytest.mark.parametrize("name", ["none", "three", "keyword_only"])
def test_a_handler_that_takes_something_else_is_refused_with_the_wanted_form(name: str) -> None:
    with pytest.raises(HandlerError, match=r"wanted: process_message\(message\) or"):
        loading.load(f"{HERE}:{name}")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("generator", "whose call does nothing"),
        ("async_generator", "whose call does nothing"),
        ("partial_of_a_generator", "whose call does nothing"),
        ("Holder", "is a class, whose call makes an object"),
        ("partial_of_a_class", "is a class, whose call makes an object"),
        ("Holder.method", "is a method of a class, and there is no object"),
        ("cached", "of two equal messages the second would do nothing"),
    ],
)
def test_what_does_nothing_when_it_is_called_is_refused(name: str, why: str) -> None:
    with pytest.raises(HandlerError, match=why):
        loading.load(f"{HERE}:{name}")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("one", Kind.THREAD),
        ("coroutine", Kind.ASYNC),
        ("an_async_object", Kind.ASYNC),
        ("messages", Kind.BATCH),
        ("holder.method", Kind.THREAD),
        ("partial", Kind.THREAD),
        ("partial_of_an_async_object", Kind.ASYNC),
    ],
)
def test_the_form_of_a_function_says_how_it_is_called(name: str, kind: Kind) -> None:
    assert loading.load(f"{HERE}:{name}").kind is kind


def test_a_coroutine_handler_gets_message_and_context_when_it_is_awaited() -> None:
    assert asyncio.run(called("coroutine", Message(41, value=b"1"))) == (1, 41)


def test_an_async_function_of_a_list_is_refused_with_both_ways_out() -> None:
    with pytest.raises(HandlerError, match=r"wanted: an async function of one message, .* or a plain function of messages"):
        loading.load(HERE + ":coroutine_of_messages")


def test_a_fault_names_the_setting_that_holds_the_handler() -> None:
    with pytest.raises(HandlerError, match=r"^HANDLERS=no\.such:f cannot be imported"):
        loading.load("no.such:f", setting="HANDLERS")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        (HERE + ":coroutne", HERE + ":coroutine"),
        (HERE + "s:coroutine", HERE + ":coroutine"),
        ("tests.unt.handler.test_loading:coroutine", HERE + ":coroutine"),
        ("jsn.decoder:JSONDecoder.decode", "json.decoder:JSONDecoder.decode"),
        ("json.decoder:JSONDecodr.decode", "json.decoder:JSONDecoder.decode"),
        ("json.decoder:JSONDecoder.decod", "json.decoder:JSONDecoder.decode"),
    ],
)
def test_a_name_that_leads_to_nothing_is_told_with_the_one_that_is_meant(name: str, meant: str) -> None:
    with pytest.raises(HandlerError, match=f"HANDLER={name} cannot be imported: .* did you mean {meant}\\?$"):
        loading.load(name)


@pytest.mark.parametrize("raised", ["ValueError", "SystemExit", "BaseException"])
def test_a_module_that_raises_whenever_it_is_asked_for_a_name_is_told_as_one_that_cannot_be_imported(
    raised: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"lazy_{raised}.py").write_text(f"def __getattr__(name):\n    raise {raised}(f'no extra for {{name}}')\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(HandlerError, match=f"cannot be imported: {raised}: «no extra for work»"):
        loading.load(f"lazy_{raised}:work")


def test_something_that_is_no_function_is_refused() -> None:
    with pytest.raises(HandlerError, match=r"is a int, not a function\. Name a function"):
        loading.load(HERE + ":number")


@pytest.mark.parametrize("name", ["no.such.module:f", HERE + ":missing", HERE, ":f", HERE + ":"])
def test_a_handler_that_is_not_there_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(HandlerError, match=f"HANDLER={name} cannot be imported"):
        loading.load(name)


MUTE = "class MuteError(Exception):\n    def __str__(self):\n        raise SystemExit(0)\nraise MuteError"


@pytest.mark.parametrize("statement", ["raise SystemExit(0)", "1/0", "import nothing_like_this", "def", MUTE])
def test_whatever_an_import_raises_is_a_fault_of_the_setting(
    statement: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_handler.py").write_text(statement)
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(HandlerError, match="HANDLER=broken_handler:f cannot be imported"):
        loading.load("broken_handler:f")


def test_of_what_only_one_process_can_have_it_is_said_that_each_imports_the_module(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `prometheus_client.start_http_server(8000)` at the level of a module has it."""
    (tmp_path / "serves.py").write_text("import errno\nraise OSError(errno.EADDRINUSE, 'Address already in use')\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(HandlerError, match=r"Address already in use» in .*, line 2 .*each process of the service imports it"):
        loading.load("serves:f")


def test_a_module_of_the_users_whose_name_is_taken_already_is_named_with_whose_it_is(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "queue.py").write_text("def work(message): ...")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(HandlerError, match=rf"no attribute 'work'.*; {queue.__file__} hides {tmp_path}/queue\.py"):
        loading.load("queue:work")


def test_an_import_that_fails_says_in_which_line_of_which_module(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "importing_handler.py").write_text("import imported_by_it")
    (tmp_path / "imported_by_it.py").write_text("import os\nURL = os.environ['NO_SUCH_VARIABLE']")
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(HandlerError, match=r"KeyError: «'NO_SUCH_VARIABLE'» in .*/imported_by_it\.py, line 2 \(wanted"):
        loading.load("importing_handler:f")


def test_ctrl_c_during_an_import_is_no_fault_of_the_setting(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "interrupted_handler.py").write_text("raise KeyboardInterrupt")
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(KeyboardInterrupt):
        loading.load("interrupted_handler:f")


@pytest.mark.parametrize("value", [b"", b" ", b"{", b"\xff\xfe", b"\xed\xa0\x80", b"'a'", b"1 2", b"[" * 100_000, b"9" * 5000])
def test_what_is_not_utf8_json_is_undecodable(value: bytes) -> None:
    with pytest.raises(UndecodableError):
        decode(value)


def test_deep_nesting_is_undecodable_in_a_handler_thread_too() -> None:
    outcome: List[BaseException] = []

    def body() -> None:
        try:
            decode(b"[" * 100_000 + b"]" * 100_000)
        except UndecodableError as error:
            outcome.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()

    assert len(outcome) == 1


@pytest.mark.parametrize(("value", "expected"), [(None, None), (b"null", None), (b'"x"', "x"), (b"0", 0), (b"{}", {})])
def test_json_is_decoded_and_a_tombstone_is_none(value: Optional[bytes], expected: Any) -> None:
    assert decode(value) == expected


def test_context_tells_what_kafka_knows_of_the_message() -> None:
    message = Message(0, key=b"k")
    message.given_headers = [("h", b"1"), ("h", None)]
    context = Context(message, Partition("topic", 0), 1)

    assert (context.key, context.headers, context.timestamp) == (b"k", [("h", b"1"), ("h", None)], 1.5)


def test_context_of_a_message_without_time_and_headers_has_none() -> None:
    message = Message(0)
    message.given_timestamp = (0, -1)
    context = Context(message, Partition("topic", 0), 1)

    assert (context.headers, context.timestamp) == ([], None)


def test_a_header_whose_name_is_not_utf8_makes_the_message_undecodable() -> None:
    message = Message(0)
    message.broken = True

    with pytest.raises(UndecodableError, match="the name of a header is not UTF-8"):
        _ = Context(message, Partition("topic", 0), 1).headers


def test_context_is_cancelled_with_a_deadline_when_the_partition_closes() -> None:
    partition = Partition("topic", 0)
    context = Context(Message(0), partition, 1)
    before = (context.cancelled, context.deadline)

    partition.closing.close(12.5)

    assert before == (False, None)
    assert (context.cancelled, context.deadline) == (True, 12.5)
