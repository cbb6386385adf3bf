"""What handlers may raise and return."""

from __future__ import annotations

import pickle
import re
import sys
from datetime import timedelta
from enum import Enum
from typing import Any, Callable, Iterator, List
from unittest.mock import ANY

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_worker.partitions.undecided import sends_of
from kafka_worker.shared.foreign.answers import BatchError, ItemError, Reject, Retry, Send
from kafka_worker.shared.foreign.errors import names_of


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"\xff", b"\xff"), ("ä", "ä".encode()), (None, None), ({"a": [1, "ä"]}, '{"a":[1,"ä"]}'.encode()), (7, b"7")],
)
def test_a_value_is_sent_as_bytes_text_tombstone_or_json(value: Any, expected: Any) -> None:
    assert Send("t", value).value == expected


def test_what_a_handler_returns_is_compared_with_what_a_test_expects_and_shown_as_one_would_write_it() -> None:
    send = Send("prices", {"price": 3, "id": 1}, key="k", headers={"h": "1"})

    assert send == Send("prices", {"id": 1, "price": 3}, key=b"k", headers=[("h", b"1")])
    assert len({send, Send("prices", {"id": 1, "price": 3}, "k", {"h": "1"}), Send("prices", b"\xff")}) == 2
    others = [
        ("other", {"price": 3, "id": 1}, "k", {"h": "1"}),
        ("prices", 3, "k", {"h": "1"}),
        ("prices", None),
        ("prices", "text"),
    ]
    assert send not in [Send(*words) for words in others]  # type: ignore[arg-type]
    assert send != "prices"
    assert [send] == [ANY]
    assert repr(send) == "Send('prices', {'price': 3, 'id': 1}, key=b'k', headers=[('h', b'1')])"
    assert [repr(Send("t", value)) for value in (None, b"\xff", "text")] == [
        "Send('t', None)", "Send('t', b'\\xff')", "Send('t', b'text')",
    ]  # fmt: skip


def test_keys_and_headers_may_be_text() -> None:
    send = Send("t", 1, key="k", headers={"a": "1", "b": b"2", "c": None})

    assert (send.topic, send.key, send.headers) == ("t", b"k", [("a", b"1"), ("b", b"2"), ("c", None)])
    assert Send("t", 1, headers=[("a", "1"), ("a", "2")]).headers == [("a", b"1"), ("a", b"2")]


@pytest.mark.parametrize(
    "arguments",
    [
        ("", 1), (None, 1), ("t", {1, 2}), ("t", float("nan")), ("t", "\ud800"), ("t", 1, 7), ("t", 1, None, {"a": 1}),
        ("t", 1, None, {"\ud800": "1"}), ("t", 1, None, {"a\0b": "1"}), ("t", 1, None, {"a": "\ud800"}),
    ],
)  # fmt: skip
def test_what_can_not_be_sent_is_refused_where_it_is_made(arguments: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Send(*arguments)


ANY_TEXT = st.text(st.characters(), max_size=20)  # halves of surrogate pairs too


@given(ANY_TEXT, ANY_TEXT | st.binary(max_size=20))
def test_a_header_is_sent_as_it_is_or_refused(name: str, value: Any) -> None:
    try:
        ((sent, content),) = Send("t", 1, headers={name: value}).headers
    except ValueError:
        text = name + (value if isinstance(value, str) else "")
        assert "\0" in name or any("\ud800" <= each <= "\udfff" for each in text)
    else:
        assert sent.encode().partition(b"\0")[0].decode() == name  # as the client reads it
        assert content == (value.encode() if isinstance(value, str) else value)


class Topics(str, Enum):
    A = "a"


class Octets(bytes):
    def __bytes__(self) -> bytes:
        raise SystemExit


def test_text_and_bytes_of_other_classes_are_sent_as_what_they_hold() -> None:
    send = Send(Topics.A, Octets(b"v"), Topics.A, [(Topics.A, Octets(b"h")), ("b", Topics.A)])

    held = [send.topic, send.value, send.key, *sum(send.headers, ())]
    assert held == ["a", b"v", b"a", "a", b"h", "b", b"a"]
    assert {type(each) for each in held} == {str, bytes}
    assert Send("t", Topics.A).value == b"a"


def change(**fields: Any) -> Send:
    send = Send("t", 1, "k", {"h": "1"})
    for name, value in fields.items():
        setattr(send, name, value)
    return send


@pytest.mark.parametrize(
    "changed", [{"topic": 7}, {"value": {1}}, {"key": 7}, {"headers": [("\ud800", b"")]}, {"headers": 7}, {"headers": [()]}]
)
def test_a_send_that_was_changed_into_what_can_not_be_sent_is_a_failed_attempt(changed: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        sends_of([Send("t", 1), change(**changed)], ())


def test_a_send_that_is_changed_after_the_return_is_sent_as_it_was() -> None:
    send = Send("t", 1, "k", {"h": "1"})
    results = sends_of(send, ())
    send.topic, send.value, send.headers[:] = "other", b"2", []

    assert results is not None
    (sent,) = results.sends
    assert (sent.topic, sent.value, sent.headers) == ("t", b"1", [("h", b"1")])


def test_a_send_of_the_users_own_class_is_sent_as_a_plain_one() -> None:
    class Own(Send):
        checked = property(lambda _self: sys.exit())

    results = sends_of(Own("t", 1), ())

    assert results is not None
    assert [type(send) for send in results.sends] == [Send]


def test_a_list_that_changes_while_it_is_looked_at_is_sent_as_it_was_at_first() -> None:
    class Moving(List[Any]):
        def __iter__(self) -> Iterator[Any]:
            yield from (Send("t", 1), Send("t", 2))
            self.__class__ = Moved  # type: ignore[assignment]

    class Moved(List[Any]):
        def __iter__(self) -> Iterator[Any]:
            yield "nothing"

    results = sends_of(Moving(), ())

    assert results is not None
    assert [send.value for send in results.sends] == [b"1", b"2"]


def test_a_batch_error_takes_exceptions_and_words() -> None:
    rejected = Reject("no")
    failures = BatchError({3: rejected, 7: "bad"}).failures

    assert failures[3] is rejected
    assert (type(failures[7]), str(failures[7])) == (ItemError, "bad")


def test_a_batch_error_of_another_process_says_the_same() -> None:
    error = pickle.loads(pickle.dumps(BatchError({3: Reject("no"), 7: "bad"}, [Send("t", 1)])))

    assert [(index, str(failure)) for index, failure in error.failures.items()] == [(3, "no"), (7, "bad")]
    assert (str(error), error.results) == ("failed: 3, 7", [Send("t", 1)])


@pytest.mark.parametrize("failures", ["text", [1, 2], [ValueError("x"), None]])
def test_a_batch_error_that_names_no_message_by_its_index_says_what_it_wants(failures: Any) -> None:
    with pytest.raises(TypeError, match=r"wants \{index: error\}, not a (str|list)"):
        BatchError(failures)


@pytest.mark.parametrize("wait", [30, 1.5, timedelta(minutes=1)])
def test_a_wait_in_the_place_of_the_reason_is_refused_because_nobody_would_wait_so_long(wait: Any) -> None:
    with pytest.raises(TypeError, match=re.escape(f"Retry(after={wait!r})")):
        Retry(wait)


def test_beside_a_wait_a_number_is_the_reason() -> None:
    assert (str(Retry(429, after=60)), Retry(429, after=60).after) == ("429", 60)  # type: ignore[arg-type]


def test_a_batch_error_without_a_failure_is_refused_because_all_would_count_as_done() -> None:
    with pytest.raises(ValueError, match="must name"):
        BatchError({})


@pytest.mark.parametrize("result", [True, {"a": 1}, [], [1, 2], "text", ()])
def test_results_that_are_no_send_are_ignored(result: Any) -> None:
    assert sends_of(result, ()) is None


def test_one_send_and_a_list_of_them_are_to_be_produced() -> None:
    one, other = Send("t", 1), Send("t", 2)

    found = [results.sends for results in (sends_of(one, ()), sends_of((one, other), ())) if results]
    assert [[send.value for send in sends] for sends in found] == [[b"1"], [b"1", b"2"]]


def test_a_list_with_a_send_among_other_things_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="some are a Send"):
        sends_of([Send("t", 1), {"a": 1}], ())


@pytest.mark.parametrize(
    "within", [lambda send: {"a": send}, lambda send: {send}, lambda send: [[send]], lambda send: [(send,)]]
)
def test_a_send_where_nobody_would_look_for_it_is_a_mistake_and_not_lost_without_a_word(within: Callable[[Send], Any]) -> None:
    with pytest.raises(TypeError, match=r"returned a Send within a \w+; wanted: a Send, or a list of them"):
        sends_of(within(Send("t", 1)), ())


def test_a_coroutine_that_a_plain_function_returned_has_done_nothing_and_is_no_success() -> None:
    async def forgotten() -> None: ...

    with pytest.raises(TypeError, match="wanted: async def"):
        sends_of(forgotten(), ())


def test_what_handlers_import_is_called_as_they_import_it() -> None:
    assert names_of(Reject("no"))[0] == "kafka_worker.Reject"
    assert pickle.loads(pickle.dumps(Retry("later"))).args == ("later",)
