from __future__ import annotations

import dataclasses
import functools
import json
import sys
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Generic,
    List,
    Literal,
    NamedTuple,
    NewType,
    Optional,
    TypedDict,
    TypeVar,
    Union,
)

import msgspec
import pydantic
import pydantic.v1
import pytest
from typing_extensions import Annotated  # Python 3.8 has none

from kafka_worker.handler import loading
from kafka_worker.handler.decoding import quick_decoder
from kafka_worker.handler.loading import HandlerError
from kafka_worker.handler.validation.typed import HintError, element_of, hint_of
from kafka_worker.handler.validation.validation import decoder_for
from kafka_worker.partitions.assignment import Partition
from kafka_worker.shared.foreign.errors import InvalidMessageError, UndecodableError
from tests.unit.fakes import Message, some_settings

if TYPE_CHECKING:
    Unknown = Any  # known to type checkers only

HERE = __name__
Content = TypeVar("Content")
SECRET = "secret-value"


class Item(pydantic.BaseModel):
    price: float
    kind: Literal["new", "used"] = "new"


class Cat(pydantic.BaseModel):
    tag: Literal["cat"]


class Dog(pydantic.BaseModel):
    tag: Literal["dog"]


class Model(pydantic.BaseModel):
    items: List[Item] = []
    counts: Dict[str, int] = {}
    pet: Union[Cat, Dog, None] = pydantic.Field(default=None, discriminator="tag")
    number: int = 0

    @pydantic.field_validator("number")
    @classmethod
    def _not_seven(cls, number: int) -> int:
        if number == 7:
            raise KeyError("a fault of the validator")
        return number


class Part(msgspec.Struct):
    price: float
    kind: Literal["new", "used"] = "new"


class Struct(msgspec.Struct):
    items: List[Part] = []
    counts: Dict[str, int] = {}


class Unfinished(pydantic.BaseModel):
    field: Unknown


class UnfinishedStruct(msgspec.Struct):
    field: Unknown


def plain(message: Dict[str, Any]) -> Any:
    return message


def without(message):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    return message


def of_model(message: Model) -> Any:
    return message


def of_model_with_context(message: Model, context: Unknown) -> Any:
    return message, context.offset


def of_optional_model(message: Optional[Model]) -> Any:
    return message


def of_struct(message: Struct) -> Any:
    return message


def of_optional_struct(message: Optional[Struct]) -> Any:
    return message


def of_a_noted_list(messages: Annotated[List[Model], "a note"]) -> Any:
    """Is called by nobody."""


def of_a_list(message: List[Model]) -> Any:
    return message


def of_a_batch(messages: List[Model]) -> Any:
    return messages


def of_either(message: Union[Item, Cat]) -> Any:
    return message


def of_unknown(message: Unknown) -> Any:
    return message


def of_unfinished(message: Unfinished) -> Any:
    return message


def of_unfinished_struct(message: UnfinishedStruct) -> Any:
    return message


def of_both(message: Union[Model, Struct]) -> Any:
    return message


@functools.wraps(of_model)
def wrapped(*arguments: Any) -> Any:
    return of_model(*arguments)


class Holder:
    def method(self, message: Model) -> Any:
        return message

    def __call__(self, message: Model) -> Any:
        return message


bound = Holder().method
instance = Holder()


def called(name: str, value: Optional[bytes]) -> Any:
    loaded = loading.load(f"{HERE}:{name}", some_settings())
    return loaded.call(Message(5, value=value), Partition("topic", 0), 1)


def refusal(name: str, document: Any) -> str:
    with pytest.raises(InvalidMessageError) as raised:
        called(name, json.dumps(document).encode())
    assert raised.value.__suppress_context__, "the library's own text would tell the value"
    return str(raised.value)


@pytest.mark.parametrize("name", ["of_model", "of_optional_model", "wrapped", "bound", "instance"])
def test_a_handler_gets_the_model_that_its_hint_names(name: str) -> None:
    assert called(name, b'{"items": [{"price": 1.5}]}') == Model(items=[Item(price=1.5)])


@pytest.mark.parametrize("name", ["of_struct", "of_optional_struct"])
def test_a_handler_gets_the_struct_that_its_hint_names(name: str) -> None:
    assert called(name, b'{"items": [{"price": 1.5}]}') == Struct(items=[Part(price=1.5)])


def test_the_hint_of_another_parameter_need_not_be_known() -> None:
    assert called("of_model_with_context", b"{}") == (Model(), 5)


def test_a_hint_may_hold_models() -> None:
    assert called("of_either", b'{"tag": "cat"}') == Cat(tag="cat")
    assert called("of_a_list", b"[{}]") == [Model()]


@pydantic.dataclasses.dataclass
class Row:
    price: float


class Envelope(msgspec.Struct, Generic[Content]):
    content: Content


def _positive(item: Item) -> Item:
    if item.price < 0:
        raise ValueError("below zero")
    return item


class Named(NamedTuple):
    price: float


@dataclasses.dataclass
class Plain:
    price: float


class Former(pydantic.v1.BaseModel):
    price: float


class Fields(TypedDict):
    id: int


NewItem = NewType("NewItem", Item)


@pytest.mark.parametrize(
    ("hint", "value", "wanted"),
    [
        (Row, b'{"price": 1}', Row(price=1.0)),
        (Optional[Row], None, None),
        (Envelope[int], b'{"content": 7}', Envelope(7)),
        (NewItem, b'{"price": 1}', Item(price=1.0)),
        (List[NewItem], b"[]", []),
        (Annotated[Item, pydantic.AfterValidator(_positive)], b'{"price": 1}', Item(price=1.0)),
    ],
)
def test_a_model_may_be_any_of_its_librarys_by_any_name(hint: Any, value: Optional[bytes], wanted: Any) -> None:
    assert decoder_for(hint, some_settings())(value) == wanted


def test_what_a_note_says_of_a_model_holds_too() -> None:
    with pytest.raises(InvalidMessageError, match="below zero"):
        decoder_for(Annotated[Item, pydantic.AfterValidator(_positive)], some_settings())(b'{"price": -1}')


@pytest.mark.parametrize("hint", [Plain, Optional[Plain], List[Plain], Named, Former])
def test_a_type_with_fields_that_json_alone_does_not_make_is_a_fault_and_no_failure_of_each_message(hint: Any) -> None:
    with pytest.raises(
        HintError, match=r"can't be decoded into .*(Plain|Named|Former).* with the hint dict it gets plain JSON"
    ):
        decoder_for(hint, some_settings())


@pytest.mark.skipif(sys.version_info < (3, 10), reason="this Python has no X | None")
def test_a_union_of_the_newer_form_may_hold_a_model() -> None:
    hint = eval("Model | None")
    decoder = decoder_for(hint, some_settings())

    assert decoder(b"{}") == Model()
    assert decoder(None) is None


@pytest.mark.parametrize("name", ["plain", "without"])
def test_a_handler_without_a_model_in_its_hint_gets_plain_json(name: str) -> None:
    assert called(name, b'{"items": 3}') == {"items": 3}
    assert called(name, None) is None


@pytest.mark.parametrize("hint", [None, Any, dict, Dict[str, Any], Fields, int, Callable[..., Any], "text", 7])
def test_no_other_hint_changes_the_decoder(hint: Any) -> None:
    assert decoder_for(hint, some_settings()) is quick_decoder()


@pytest.mark.parametrize("value", [None, b"null"])
@pytest.mark.parametrize("name", ["of_optional_model", "of_optional_struct"])
def test_a_tombstone_is_none_where_the_hint_allows_it(name: str, value: Optional[bytes]) -> None:
    assert called(name, value) is None


@pytest.mark.parametrize("name", ["of_model", "of_struct"])
def test_a_tombstone_is_invalid_where_the_hint_has_no_none(name: str) -> None:
    with pytest.raises(InvalidMessageError, match="a tombstone, which has no value"):
        called(name, None)


@pytest.mark.parametrize(
    ("name", "document", "reason"),
    [
        (
            "of_model",
            {"items": [{"price": 1}, {"price": SECRET}]},
            "/items/1/price: Input should be a valid number, unable to",
        ),
        ("of_model", {"items": [{"price": 1, "kind": SECRET}]}, "/items/0/kind: Input should be 'new' or 'used'"),
        ("of_model", {"counts": {"a/b": SECRET}}, "/counts/a~1b: Input should be a valid integer"),
        ("of_model", {"pet": {"tag": SECRET}}, "/pet: not one of the expected tags"),
        ("of_model", [SECRET], "the whole message: Input should be an object"),
        ("of_struct", {"items": [{"price": 1}, {"price": SECRET}]}, "/items/1/price: Expected `float`, got `str`"),
        ("of_struct", {"items": [{"price": 1, "kind": SECRET}]}, "/items/0/kind: Invalid enum value"),
        ("of_struct", {"counts": {"a.b": SECRET}}, "/counts/*: Expected `int`, got `str`"),
        ("of_struct", {"items": [{}]}, "/items/0: Object missing required field `price`"),
        ("of_struct", [SECRET], "the whole message: Expected `object`, got `array`"),
    ],
)
def test_a_violation_is_told_with_its_place_and_without_the_value(name: str, document: Any, reason: str) -> None:
    told = refusal(name, document)

    assert told.startswith(reason)
    assert SECRET not in told


def test_further_violations_are_counted() -> None:
    assert refusal("of_model", {"items": [{}, {}, {}]}) == "/items/0/price: Field required (and 2 more)"


@pytest.mark.parametrize(
    "value", [b"", b"{", b"\xff", b'{"counts": {"\xe9": 1}}', b'{"unknown":' + b"[" * 100_000 + b"]" * 100_000 + b"}"]
)
@pytest.mark.parametrize("name", ["of_model", "of_struct"])
def test_what_is_not_json_is_undecodable(name: str, value: bytes) -> None:
    with pytest.raises(UndecodableError) as raised:
        called(name, value)

    assert not isinstance(raised.value, InvalidMessageError)


def test_what_else_a_model_raises_is_a_failed_attempt_of_the_handler() -> None:
    with pytest.raises(KeyError):
        called("of_model", b'{"number": 7}')


def test_with_a_schema_too_that_one_is_asked_first(tmp_path: Any) -> None:
    (tmp_path / "schema.json").write_text('{"properties": {"number": {"maximum": 5}}}')
    decoder = decoder_for(Model, some_settings(message_schema=str(tmp_path / "schema.json")))

    assert decoder(b'{"number": 5}') == Model(number=5)
    with pytest.raises(InvalidMessageError, match=r"^/number: value is greater than the maximum of 5$"):
        decoder(b'{"number": 6, "items": 3}')
    with pytest.raises(InvalidMessageError, match=r"^/items: Input should be a valid array$"):
        decoder(b'{"number": 5, "items": 3}')
    with pytest.raises(InvalidMessageError, match="tombstone"):
        decoder(None)


def test_a_hint_that_cannot_be_resolved_is_told_once_and_leaves_plain_json(caplog: pytest.LogCaptureFixture) -> None:
    assert called("of_unknown", b'{"a": 1}') == {"a": 1}

    (warning,) = caplog.messages
    assert warning.startswith("The handler gets plain JSON: the type hint Unknown of its first parameter can't be resolved")


@pytest.mark.parametrize("name", ["of_unfinished", "of_unfinished_struct", "of_both"])
def test_a_model_that_cannot_be_used_is_a_fault_of_the_handler(name: str) -> None:
    with pytest.raises(HandlerError, match=f"^HANDLER={HERE}:{name}: messages can't be decoded into "):
        called(name, b"{}")


def test_the_element_type_of_a_list_handler_is_found() -> None:
    assert element_of(hint_of(of_a_list)) is Model
    assert element_of(hint_of(of_a_noted_list)) is Model
    assert [element_of(hint) for hint in (None, list, Dict[str, Model])] == [None] * 3


def test_a_handler_of_lists_gets_models_and_one_invalid_message_fails_alone() -> None:
    call = loading.load(f"{HERE}:of_a_batch", some_settings()).call
    values = (b'{"number": 1}', b'{"number": "many"}', b'{"number": 3}')
    tasks = [(offset, None, Message(offset, value=value), None, 1, None) for offset, value in enumerate(values)]

    messages, failures = call(tasks)

    assert messages == [Model(number=1), Model(number=3)]
    assert {index: type(failure) for index, failure in failures.items()} == {1: InvalidMessageError}
