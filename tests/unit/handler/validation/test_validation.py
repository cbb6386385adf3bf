from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, Callable, Dict

import pytest

from kafka_worker.handler.decoding import invalid, quick_decoder
from kafka_worker.handler.validation import validation
from kafka_worker.handler.validation.schema import COUNTED, DEEPEST, SchemaError
from kafka_worker.handler.validation.validation import decoder_for
from kafka_worker.shared.foreign.errors import InvalidMessageError, TooLongError, UndecodableError, names_of
from kafka_worker.shared.foreign.exceptions import as_data, rebuilt
from kafka_worker.shared.settings import Settings
from tests.unit.fakes import some_settings

ORDER = {
    "type": "object",
    "required": ["order"],
    "properties": {
        "order": {
            "type": "object",
            "properties": {
                "items": {"type": "array", "items": {"type": "object", "properties": {"price": {"type": "number"}}}},
                "note": {"type": "string", "maxLength": 10},
                "a/b~c": {"type": "integer"},
                "kind": {"enum": ["new", "used"]},
                "contact": {"anyOf": [{"type": "integer"}, {"type": "object", "required": ["mail"]}]},
            },
        }
    },
}
SECRET = "secret-value"

Decoder = Callable[..., Any]


@pytest.fixture
def schema(tmp_path: Path) -> Callable[..., Settings]:
    """Settings whose schema is this document, or what the file is to hold else."""

    def make(document: Any, **changes: Any) -> Settings:
        content: bytes = document if isinstance(document, bytes) else json.dumps(document).encode()
        (tmp_path / "schema.json").write_bytes(content)
        return some_settings(message_schema=str(tmp_path / "schema.json"), **changes)

    return make


@pytest.fixture
def checked(schema: Callable[..., Settings]) -> Decoder:
    return decoder_for(None, schema(ORDER))


def message(**order: Any) -> bytes:
    return json.dumps({"order": order}).encode()


def refusal(decoder: Decoder, value: bytes) -> str:
    with pytest.raises(InvalidMessageError) as raised:
        decoder(value)
    return str(raised.value)


def test_without_settings_and_hint_the_decoder_is_the_plain_one() -> None:
    assert decoder_for(None, some_settings()) is quick_decoder()


def test_a_message_that_fits_the_schema_is_decoded(checked: Decoder) -> None:
    assert checked(message(note="short")) == {"order": {"note": "short"}}


def test_the_schema_is_not_asked_about_a_tombstone(checked: Decoder) -> None:
    assert checked(None) is None


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ({"items": [{}, {}, {"price": SECRET}]}, '/order/items/2/price: value is not of type "number"'),
        ({"note": SECRET}, "/order/note: value is longer than 10 characters"),
        ({"a/b~c": SECRET}, '/order/a~1b~0c: value is not of type "integer"'),
        ({"kind": SECRET}, '/order/kind: value is not one of "new" or "used"'),
        (
            {"contact": {"name": SECRET}},
            "/order/contact: value is not valid under any of the schemas listed in the 'anyOf' keyword",
        ),
    ],
)
def test_a_violation_is_told_with_its_place_and_without_the_value(
    checked: Decoder, order: Dict[str, Any], reason: str
) -> None:
    assert refusal(checked, message(**order)) == reason


def test_a_violation_of_the_whole_message_says_so(checked: Decoder) -> None:
    assert refusal(checked, b"[1]") == 'the whole message: value is not of type "object"'


def test_further_violations_are_counted(checked: Decoder) -> None:
    assert refusal(checked, message(items=[{"price": "a"}, {"price": "b"}, {"price": "c"}])).endswith(" (and 2 more)")


def test_further_violations_of_a_long_message_are_not_looked_for(checked: Decoder) -> None:
    assert "more)" not in refusal(checked, message(items=[{"price": "a"}] * COUNTED))


def test_the_cause_of_a_refusal_is_not_shown_because_it_would_tell_the_value(checked: Decoder) -> None:
    with pytest.raises(InvalidMessageError) as raised:
        checked(message(note=SECRET))

    assert raised.value.__suppress_context__
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("name", ["n" * 10_000, "line\nbreak", "\x1b[31m", "\ud800"])
def test_a_refusal_is_one_printable_line_of_at_most_500_characters(name: str) -> None:
    text = str(invalid([name, 3], "w" * 1000, 7))

    assert len(text) <= 500
    assert text.isprintable()
    assert text.startswith("/")
    assert text.endswith(" (and 7 more)")


@pytest.mark.parametrize("error", [invalid(["a"], "wrong"), TooLongError("12 bytes"), UndecodableError("no JSON")])
def test_what_is_wrong_with_a_message_arrives_from_a_task_process_as_what_it_is(error: UndecodableError) -> None:
    arrived = rebuilt(as_data(error))

    assert isinstance(arrived, type(error))
    assert (names_of(arrived), str(arrived)) == (names_of(error), str(error))


@pytest.mark.parametrize("document", ["\ud800", {"order": {"\ud800": 1}}])
def test_what_the_schema_cannot_read_is_invalid_and_no_fault(schema: Callable[..., Settings], document: Any) -> None:
    """Half of a surrogate pair is JSON, but no text."""
    decoder = decoder_for(
        None,
        schema(
            {"additionalProperties": {"additionalProperties": {"minimum": 1}}, "type": ["string", "object"], "minLength": 9}
        ),
    )

    refusal(decoder, json.dumps(document).encode())


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def test_a_message_that_is_nested_deeper_than_the_validator_can_go_is_invalid(schema: Callable[..., Settings]) -> None:
    decoder = decoder_for(None, schema({"type": "array", "items": {"$ref": "#"}}))

    decoder(nested(DEEPEST))
    assert "nested deeper than 250 levels" in refusal(decoder, nested(DEEPEST + 1))
    decoder(b"[" + b",".join([nested(3)] * DEEPEST) + b"]")  # many brackets alone are not depth


def test_nan_is_no_number_for_a_schema_though_it_is_for_a_handler_without_one(schema: Callable[..., Settings]) -> None:
    assert str(decoder_for(None, some_settings())(b"NaN")) == "nan"
    refusal(decoder_for(None, schema({"type": "number"})), b"NaN")


def test_what_is_not_json_stays_undecodable_with_a_schema(checked: Decoder) -> None:
    with pytest.raises(UndecodableError) as raised:
        checked(b"hello")

    assert not isinstance(raised.value, InvalidMessageError)


def test_a_message_longer_than_the_limit_is_refused_with_both_numbers_before_it_is_read() -> None:
    decoder = decoder_for(None, some_settings(max_message_bytes=10))

    assert decoder(b'"12345678"') == "12345678"
    assert decoder(None) is None
    with pytest.raises(TooLongError, match=r"^11 bytes, and MAX_MESSAGE_BYTES=10$"):
        decoder(b"not JSON at")


def test_a_schema_is_compiled_once_for_all_handlers(schema: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    settings = schema(ORDER)
    decoder_for(None, settings)
    Path(settings.message_schema).unlink()

    decoder_for(None, settings)


def test_a_path_is_relative_to_the_working_directory(
    schema: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema({"type": "null"})
    monkeypatch.chdir(tmp_path)

    assert validation.faults(some_settings(message_schema="schema.json")) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "is not JSON: Expecting property name"),
        (b"\xff\xff", "is not JSON: "),
        (b"[1]", 'the whole message: value is not of types "boolean", "object"'),
        ({"properties": {"a": {"type": "nmber"}}}, "is not a usable JSON Schema: /properties/a/type: value is not valid"),
        ({"properties": {"a": {"pattern": "("}}}, "is not a usable JSON Schema: /properties/a"),
        ({"$schema": "http://example.invalid/schema"}, "is not a usable JSON Schema: "),
        ({"$ref": "#/definitions/missing"}, "Pointer '/definitions/missing' does not exist"),
        ({"$ref": "missing.json"}, "is not a usable JSON Schema: "),
        ({"$id": "https://example.invalid/a.json", "$ref": "b.json"}, "nothing is fetched from a network"),
    ],
)
def test_a_schema_that_cannot_be_used_is_one_line_that_names_setting_and_place(
    schema: Callable[..., Settings], content: Any, reason: str
) -> None:
    settings = schema(content)

    (fault,) = validation.faults(settings)

    assert fault.startswith(f"MESSAGE_SCHEMA={settings.message_schema} ")
    assert fault.endswith("(wanted: the path of a file with a JSON Schema, draft 4 to 2020-12)")
    assert reason in fault
    assert "\n" not in fault
    with pytest.raises(SchemaError):
        decoder_for(None, settings)


@pytest.mark.parametrize("path", ["/no/such/schema.json", "/"])
def test_a_schema_that_cannot_be_read_is_refused(path: str) -> None:
    (fault,) = validation.faults(some_settings(message_schema=path))

    assert fault.startswith(f"MESSAGE_SCHEMA={path} can't be read: ")


def test_a_reference_to_a_file_is_followed_from_the_schema_on(schema: Callable[..., Settings], tmp_path: Path) -> None:
    (tmp_path / "other one.json").write_text('{"type": "integer"}')
    decoder = decoder_for(None, schema({"properties": {"a": {"$ref": "other%20one.json"}}}))

    assert decoder(b'{"a": 1}') == {"a": 1}
    assert refusal(decoder, b'{"a": "x"}') == '/a: value is not of type "integer"'


def test_a_reference_to_a_network_is_never_followed(schema: Callable[..., Settings]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        (fault,) = validation.faults(schema({"$ref": f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"}))

        with pytest.raises(BlockingIOError):  # nobody has come
            server.accept()
    assert "nothing is fetched from a network; keep a copy beside the schema" in fault
