"""Copies of what handlers raise: nothing of the user's is in them, whatever that does when it is asked."""

from __future__ import annotations

import builtins
import logging
import marshal
import sys
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Dict, List, NoReturn, Type

import pytest

from kafka_worker.outcomes.retry import RetryPolicy
from kafka_worker.shared.foreign.answers import Reject, Retry
from kafka_worker.shared.foreign.errors import CopiedError, causes_of, names_of, text_of, traceback_of
from kafka_worker.shared.foreign.exceptions import as_data, copied, noted
from tests.unit.fakes import some_settings


def leave(*_: Any) -> NoReturn:
    raise SystemExit


class Text(str):
    """Text that leaves, whatever is asked of it."""

    __slots__ = ()
    __str__ = __format__ = __getitem__ = __iter__ = encode = leave  # type: ignore[assignment]


class Odd(type):
    """Of classes that leave when they are asked for anything."""

    __getattribute__ = leave


def odd_class(*names: str) -> Type[Exception]:
    return type("UserError", (ValueError,), {name: property(leave) for name in names})


def odd_errors() -> Dict[str, BaseException]:
    by_property = ("__cause__", "__context__", "__notes__", "__traceback__", "__class__", "__dict__", "args", "names", "after")
    by_method = ("__str__", "__repr__", "__bool__", "__len__", "__eq__", "__hash__", "__getattribute__")
    odd: Dict[str, BaseException] = {
        **{name: odd_class(name)("text") for name in by_property},
        **{name: type("UserError", (ValueError,), {name: leave})("text") for name in by_method},
        "str is no str": type("UserError", (ValueError,), {"__str__": lambda _self: Text("text")})(),
        "module is no str, nor is it true": type("E", (ValueError,), {"__module__": Text("m"), "__len__": lambda _self: 0})(),
        "a Retry that was never made": type("UserError", (Retry,), {"__init__": lambda _self: None})(),
        "metaclass": Odd("UserError", (ValueError,), {})("text"),
        "argument": ValueError(Text("text")),
        "wish": Retry(Text("text"), after=Text("1")),  # type: ignore[arg-type]
        "exit": SystemExit(Text("text")),
    }
    if sys.version_info >= (3, 11):
        group = vars(builtins)["ExceptionGroup"]
        odd["group"] = group("text", [odd_class("__cause__", "__notes__")("a"), odd_class("__class__")("b")])
    return odd


@pytest.mark.parametrize("name", list(odd_errors()))
def test_whatever_an_error_does_when_it_is_asked_its_copy_answers_in_plain_text(name: str) -> None:
    copy = copied(odd_errors()[name])

    answers: List[Any] = [*names_of(copy), text_of(copy), traceback_of(copy, 1000), str(copy), *map(text_of, causes_of(copy))]
    assert {type(answer) for answer in answers} == {str}
    assert marshal.loads(marshal.dumps(as_data(copy)))
    logging.getLogger("test").error("failed", exc_info=copy)
    assert isinstance(copy, CopiedError)


def test_a_copy_says_what_the_error_would_have_said() -> None:
    try:
        try:
            {"a": 1}["key"]
        except KeyError as cause:
            raise ConnectionError("no answer") from cause
    except ConnectionError as error:
        copy = copied(error)
        wanted = (names_of(error), str(error), traceback_of(error, 9999), [names_of(each)[0] for each in causes_of(error)])

    found = (names_of(copy), str(copy), traceback_of(copy, 9999), [names_of(each)[0] for each in causes_of(copy)])
    assert found == wanted
    assert (type(copy).__name__, copied(copy)) == ("ConnectionError", copy)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="there are no groups")
def test_what_is_said_of_a_group_is_what_was_wrong_in_it() -> None:
    group = vars(builtins)["ExceptionGroup"]
    copy = copied(group("both", [group("one", [ConnectionError("refused"), KeyError(1)])]))

    assert text_of(copy) == "both (1 sub-exception): ExceptionGroup: one (2 sub-exceptions): ConnectionError: refused"
    assert names_of(copy)[0] == "builtins.ExceptionGroup"


def test_a_user_s_error_that_has_a_method_of_groups_is_none() -> None:
    class OfKeysError(Exception):
        def derive(self) -> None: ...

    assert text_of(OfKeysError("no such key")) == "no such key"


def test_a_user_s_attribute_that_is_called_names_is_not_taken_for_a_name() -> None:
    error = ValueError()
    error.names = ("Ada", "Grace")  # type: ignore[attr-defined]

    assert names_of(copied(error))[0] == "builtins.ValueError"


def test_what_was_noted_before_is_among_the_causes_of_what_it_led_to() -> None:
    first = ConnectionError("refused")
    note = noted(first)
    second = ValueError("no payment")
    second.__cause__ = first

    assert any(cause is note for cause in causes_of(copied(second)))
    assert any(cause is note for cause in causes_of(copied(first)))


@pytest.mark.parametrize(
    ("after", "delay"),
    [
        (Decimal("2.5"), 2.5), (Fraction(5, 2), 2.5), ("2.5", 2.5), (True, 1.0), (timedelta(minutes=2), 120.0),
        (10**400, None), ("soon", None), (None, None),
    ],
)  # fmt: skip
def test_a_wish_may_be_any_number(after: Any, delay: Any) -> None:
    policy = RetryPolicy(some_settings(retry_backoff_seconds=7.0, retry_backoff_max_seconds=7.0), lambda: 1.0)

    assert policy.delay(copied(Retry("busy", after)), 1) == (7.0 if delay is None else delay)


def test_of_a_wish_and_a_refusal_in_one_the_refusal_is_heard_as_ever() -> None:
    class Both(Retry, Reject):
        pass

    assert isinstance(copied(Both("no")), Reject)
    assert RetryPolicy(some_settings(), lambda: 1.0).delay(copied(Both("no")), 1) is None
