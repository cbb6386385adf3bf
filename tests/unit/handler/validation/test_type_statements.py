"""Hints that a `type` statement has named."""

from __future__ import annotations

import sys
from typing import Any, Dict

import msgspec
import pydantic
import pytest

from kafka_worker.handler.validation.typed import element_of, hint_of
from kafka_worker.handler.validation.validation import decoder_for
from tests.unit.fakes import some_settings

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="this Python has no `type` statement")

HERE = __name__
STATEMENTS = """
type Page[Each] = list[Each]
type Items = Page[Item]
type Turned[A, B] = dict[B, A]
type Tree[Leaf] = Leaf | list[Tree[Leaf]]
type Lost = list[Nowhere]
type Row[*Columns] = tuple[*Columns]
type Last[First, *Columns, More] = tuple[More, *Columns, First]
"""


class Item(pydantic.BaseModel):
    price: float


class Part(msgspec.Struct):
    price: float


def _with_statements(hint: str) -> Any:
    """A handler whose message has this hint, in a module with `type` statements."""
    names: Dict[str, Any] = {"Item": Item, "Part": Part, "__name__": HERE}
    exec(compile(f"{STATEMENTS}\ndef handler(message: {hint}): pass", HERE, "exec", dont_inherit=True), names)
    return names["handler"]


@pytest.mark.parametrize(
    ("hint", "value", "wanted"),
    [
        ("Page[Item]", b'[{"price": 1}]', [Item(price=1.0)]),
        ("Page[Part]", b'[{"price": 1}]', [Part(1.0)]),
        ("Page[Page[Item]]", b'[[{"price": 1}]]', [[Item(price=1.0)]]),
        ("Row[Part, int]", b'[{"price": 1}, 2]', (Part(1.0), 2)),
        ("Row[int, Part]", b'[2, {"price": 1}]', (2, Part(1.0))),
        ("Last[int, str, bool, Part]", b'[{"price": 1}, "a", true, 2]', (Part(1.0), "a", True, 2)),
        ("Last[int, Part]", b'[{"price": 1}, 2]', (Part(1.0), 2)),
        ("list[Row[Part, int]]", b'[[{"price": 1}, 2]]', [(Part(1.0), 2)]),
        ("Turned[Item, str]", b'{"a": {"price": 1}}', {"a": Item(price=1.0)}),
        ("Turned[Part, str]", b'{"a": {"price": 1}}', {"a": Part(1.0)}),
        ("Tree[Item]", b'[[{"price": 1}], {"price": 2}]', [[Item(price=1.0)], Item(price=2.0)]),
    ],
)
def test_a_model_may_be_given_to_a_type_statement(hint: str, value: bytes, wanted: Any) -> None:
    assert decoder_for(hint_of(_with_statements(hint)), some_settings())(value) == wanted


@pytest.mark.parametrize("hint", ["Page[Item]", "Items"])
def test_the_element_type_of_a_list_is_found_by_any_name_of_it(hint: str) -> None:
    assert element_of(hint_of(_with_statements(hint))) is Item


@pytest.mark.parametrize("hint", ["Lost", "list[Lost]"])
def test_a_type_statement_that_names_what_is_not_there_leaves_plain_json(hint: str, caplog: pytest.LogCaptureFixture) -> None:
    assert hint_of(_with_statements(hint)) is None

    assert "can't be resolved (NameError: name 'Nowhere' is not defined)" in caplog.text
