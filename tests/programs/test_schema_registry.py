"""Messages of a schema registry: by confluent-kafka's own serializers, and a registry that speaks its HTTP interface."""

from __future__ import annotations

import functools
import json
import math
import ssl
import struct
import sys
from typing import Any, Callable, Dict, Iterator, List, NewType, Optional, Union

import pydantic
import pytest
from typing_extensions import Annotated  # Python 3.8 has none

from kafka_worker import Context
from kafka_worker.handler.formats import registry as formats_registry
from kafka_worker.handler.formats.registry import registry_of
from kafka_worker.handler.loading import HandlerError
from kafka_worker.testing import TestWorker
from tests.support.schema_registry import NONE, SchemaRegistry

TOPIC, FORMATS = "Scenario-Execute", ["avro", "json-schema", "protobuf"]
ORDER: Dict[str, Any] = {"id": 7, "item": "tea"}
seen: List[Any] = []


@pytest.fixture(autouse=True, scope="module")
def _libraries() -> Iterator[None]:
    """Not imported with this file, as each pytest collects it and one runs it. The certificates of this machine are read once,
    and not by each client of a registry: that takes longer than the rest of a test."""
    pytest.importorskip("fastavro", reason="what requirements-schema-registry.txt names is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", functools.lru_cache(maxsize=None)(ssl.create_default_context))
        yield


@pytest.fixture(scope="module")
def shared() -> Iterator[SchemaRegistry]:
    """One for all tests."""
    with SchemaRegistry() as running:
        yield running


@pytest.fixture(scope="module")
def written(shared: SchemaRegistry) -> Dict[str, bytes]:
    """An order in each format."""
    from tests.support.schemas import serialized

    return {name: serialized(name, shared.url, TOPIC, ORDER) for name in FORMATS}


@pytest.fixture
def registry(shared: SchemaRegistry, monkeypatch: pytest.MonkeyPatch) -> SchemaRegistry:
    monkeypatch.setattr(formats_registry, "PATIENCE_SECONDS", math.inf)  # of true time, and of all tests together
    seen.clear()
    shared.asked.clear()
    return shared


def plain(order: Any, context: Context) -> None:
    seen.append((order, context.key))


def batch(messages: List[Any], contexts: List[Context]) -> None:
    seen.extend((order, context.key) for order, context in zip(messages, contexts))


async def awaited(order: Any, context: Context) -> None:
    seen.append((order, context.key))


def hinted(handler: Callable[..., Any], name: str, hint: Any) -> Callable[..., Any]:
    """The handler with this type for its messages; of Protobuf it is the class."""
    from tests.support.schemas import Order

    hint = Order if name == "protobuf" else hint
    first = "messages" if handler is batch else "order"
    handler.__annotations__[first] = List[hint] if handler is batch else hint
    return handler


def worker_of(
    registry: SchemaRegistry, name: str, handler: Callable[..., Any] = plain, hint: Any = Any, **more: Any
) -> TestWorker:
    return TestWorker(hinted(handler, name, hint), decoder=name, schema_registry_url=registry.url, **more)


def as_dict(order: Any) -> Dict[str, Any]:
    return order if isinstance(order, dict) else {"id": order.id, "item": order.item}


@pytest.mark.parametrize("handler", [plain, batch, awaited])
@pytest.mark.parametrize("name", FORMATS)
def test_messages_of_each_format_come_to_handlers_of_each_kind_and_a_schema_is_asked_for_once(
    registry: SchemaRegistry, written: Dict[str, bytes], name: str, handler: Any
) -> None:
    registry_of.cache_clear()

    with worker_of(registry, name, handler, max_message_bytes=100) as worker:
        assert worker.run(written[name], key="über").done
        assert all(result.done for result in worker.run_all(2 * [written[name]]))

    assert [as_dict(order) for order, _ in seen] == 3 * [ORDER]
    assert (seen[0][1], written[name][:4]) == ("über".encode(), b"\0\0\0\0")  # magic byte, and the schema's id
    assert len(registry.asked) == 1


class Model(pydantic.BaseModel):
    id: int
    item: str


def test_a_model_in_the_hint_is_made_of_what_is_decoded_and_a_tombstone_is_let_through_by_optional_only(
    registry: SchemaRegistry, written: Dict[str, bytes]
) -> None:
    bad = written["avro"][:5] + b"\x02\x00"  # an id, and no item

    with worker_of(registry, "avro", hint=Model) as worker:
        assert worker.run(written["avro"]).done
        letters = [worker.run(value).dead_letter for value in (bad, None)]
    with worker_of(registry, "avro", hint=Optional[Model]) as worker:
        assert worker.run(None).done

    assert seen == [(Model(**ORDER), None), (None, None)]
    assert [letter.error.partition(":")[0] for letter in letters if letter] == 2 * ["InvalidMessageError"]
    assert "/item" in letters[0].error  # type: ignore[union-attr]


def test_what_does_not_fit_its_json_schema_is_told_by_its_place_and_not_by_its_value(
    registry: SchemaRegistry, written: Dict[str, bytes]
) -> None:
    with worker_of(registry, "json-schema") as worker:
        letter = worker.run(written["json-schema"][:5] + b'{"id": "a secret"}').dead_letter

    assert letter
    assert letter.error == 'InvalidMessageError: /id: its schema has "type" for that'
    assert "secret" not in str(letter.headers)


def wire(number: int, rest: bytes = b"\x02\x00") -> bytes:
    return struct.pack(">bI", 0, number) + rest


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("value", "reason", "attempts", "said"),
    [
        (b"", "invalid", 1, "wire format of a schema registry"),
        (b'{"id": 7}', "invalid", 1, "wire format of a schema registry"),
        (wire(17), "attempts", 2, "knows no schema 17: Schema 17 not found (HTTP status code 404, SR code 40403). Its pro"),
        ("another format", "invalid", 1, "is one of "),
        ("cut off", "invalid", 1, ""),
    ],
)
def test_what_can_not_be_read_is_a_dead_letter_that_says_why(
    registry: SchemaRegistry, written: Dict[str, bytes], name: str, value: Any, reason: str, attempts: int, said: str
) -> None:
    if value == "another format":
        value = written[FORMATS[FORMATS.index(name) - 1]]
        value = value if name != "protobuf" else value[:5] + b"\0"
    value = written[name][:-2] if value == "cut off" else value

    with worker_of(registry, name, max_attempts=2) as worker:
        result = worker.run(value)
        worker.finish()
        again = worker.run(written[name])

    assert result.dead_letter
    assert (result.dead_letter.reason, result.attempts, result.dead_letter.value) == (reason, attempts, value)
    assert said in result.dead_letter.error
    assert again.done


def test_a_schema_may_be_named_in_a_header_by_its_guid(registry: SchemaRegistry, written: Dict[str, bytes]) -> None:
    known, body = written["avro"][4], written["avro"][5:] + b"\0"  # the library wants six bytes at least
    header = {"__value_schema_id": b"\1" + bytes(15) + bytes([known])}

    with worker_of(registry, "avro", max_attempts=1) as worker:
        assert worker.run(body, headers=header).done
        unknown = worker.run(body, headers={"__value_schema_id": b"\1" + bytes(15) + b"\x63"})

    assert [order for order, _ in seen] == [ORDER]
    assert type(unknown.error).__name__ == "UnknownSchemaError"


def test_a_message_of_another_protobuf_type_is_a_dead_letter_and_not_read_as_ours(registry: SchemaRegistry) -> None:
    from tests.support.schemas import Refund, serialized

    value = serialized("protobuf", registry.url, TOPIC, ORDER, Refund)

    with worker_of(registry, "protobuf") as worker:
        letter = worker.run(value).dead_letter

    assert letter
    assert f"a message shop.Refund of schema {value[4]}, where the handler takes shop.Order" in letter.error


def for_orders(hint: Callable[[Any, Any], Any]) -> Callable[[Any], None]:
    """A handler with a hint that is made of the classes Order and Refund."""
    from tests.support.schemas import Order, Refund

    def handler(order: Any) -> None:
        seen.append(order)

    handler.__annotations__["order"] = hint(Order, Refund)
    return handler


def named(order: Any, _refund: Any) -> Any:
    return Annotated[NewType("Placed", order), "which a shop has placed"]


@pytest.mark.parametrize(
    "hint", [named, lambda order, refund: Optional[named(order, refund)]], ids=["by another name", "perhaps"]
)
def test_a_protobuf_class_may_have_other_names(registry: SchemaRegistry, written: Dict[str, bytes], hint: Any) -> None:
    with TestWorker(for_orders(hint), decoder="protobuf", schema_registry_url=registry.url) as worker:
        assert worker.run(written["protobuf"]).done

    assert list(map(as_dict, seen)) == [ORDER]


@pytest.mark.parametrize(
    "hint",
    [lambda *each: List[each[0]], lambda *each: Union[each], lambda *each: Union[each[0], int]],  # type: ignore[valid-type]
    ids=["list", "either", "other"],
)
def test_what_protobuf_does_not_make_is_refused_at_the_start(registry: SchemaRegistry, hint: Any) -> None:
    with pytest.raises(HandlerError, match="must be the generated class"):
        TestWorker(for_orders(hint), decoder="protobuf", schema_registry_url=registry.url)


@pytest.mark.parametrize(
    ("handler", "instead"),
    [
        (plain, NONE), (batch, NONE), (awaited, NONE), (plain, (503, b"{}")), (plain, (404, b"no such path")),
        (plain, (401, b'{"error_code": 401, "message": "Unauthorized"}')), (plain, (200, b"<html>")),
        (plain, (200, b"{}")), (batch, (200, b'{"schema": {"type": "int"}}')),
    ],
)  # fmt: skip
def test_while_the_registry_is_away_messages_wait_and_no_attempt_is_counted(
    registry: SchemaRegistry, written: Dict[str, bytes], handler: Any, instead: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where somebody else answers in its place. What needs nothing of it goes on."""
    monkeypatch.setattr(formats_registry, "PAUSE_SECONDS", 0.0)  # of true time
    known = written["avro"]
    registry.schemas.append(registry.schemas[known[4] - 1])
    new = wire(len(registry.schemas), known[5:])

    with worker_of(registry, "avro", handler, max_attempts=1) as worker:
        assert worker.run(known).done
        registry.be_away(instead)
        results = [worker.run(new, key=key) for key in "ab"]
        assert worker.run(known).done
        worker.advance(30)
        states = [(result.state, result.attempts, type(result.error).__name__) for result in results]
        assert states == 2 * [("retry", 1, "RegistryAwayError")]
        registry.be_back()
        worker.advance(10)

        assert [result.done for result in results] == [True, True]
        assert not worker.dead_letters


def test_what_a_schema_refers_to_is_asked_for_as_it_is_itself(
    registry: SchemaRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be unknown, or somebody else answers in the place of the registry: no fault of the message, nor an outage."""
    money = {"type": "record", "name": "Money", "fields": [{"name": "cents", "type": "long"}]}
    price = {"type": "record", "name": "Price", "fields": [{"name": "of", "type": "Money"}]}
    known = registry.registered({"schema": json.dumps(money)})
    refers = [{"name": "Money", "subject": "money", "version": 1}]
    answer = registry.registered({"schema": json.dumps(price), "references": refers})
    value = wire(json.loads(answer[1])["id"], b"\x0e")
    monkeypatch.setattr(formats_registry, "PAUSE_SECONDS", 0.0)  # of true time
    monkeypatch.setattr(formats_registry, "UNKNOWN_SECONDS", 0.0)

    with worker_of(registry, "avro", max_attempts=5) as worker:
        result = worker.run(value)
        assert (result.state, result.attempts, type(result.error).__name__) == ("retry", 1, "UnknownSchemaError")
        with monkeypatch.context() as patch:
            patch.setattr(registry, "_version", lambda *_: (200, b"<html>"))
            worker.advance(60)
            assert type(result.error).__name__ == "RegistryAwayError"
        registry.subjects["money"] = [json.loads(known[1])["id"]]
        worker.advance(60)

        assert result.done
    assert [order for order, _ in seen] == [{"of": {"cents": 7}}]


def test_that_it_knows_no_such_schema_of_one_topic_says_nothing_of_another(
    registry: SchemaRegistry, written: Dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each context of a registry the same id is another schema's, and the subject says which context is meant."""
    monkeypatch.setattr(formats_registry, "UNKNOWN_SECONDS", math.inf)
    found = registry.found
    monkeypatch.setattr(registry, "found", lambda path: found("/schemas/ids/99" if "subject=other" in path else path))
    registry_of.cache_clear()

    with worker_of(registry, "avro", kafka_topic=[TOPIC, "other"]) as worker:
        unknown = worker.run(written["avro"], topic="other")
        assert type(unknown.error).__name__ == "UnknownSchemaError"
        assert worker.run(written["avro"], topic=TOPIC).done


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"schema_registry_ssl_ca_location": "no-such-file.pem"}, "DECODER=avro can't be used: the client .* refuses"),
        ({"decoder": "protobuf"}, "DECODER=protobuf can't be used: .* the generated class of its messages"),
    ],
)
def test_what_can_not_be_used_is_told_at_the_start(settings: Dict[str, Any], text: str) -> None:
    with pytest.raises(HandlerError, match=text):
        TestWorker(lambda _order: None, **{"decoder": "avro", "schema_registry_url": "http://registry", **settings})


def test_a_library_that_is_not_here_is_told_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka.schema_registry.avro", None)

    with pytest.raises(HandlerError, match=r"DECODER=avro can't be used: .* pip install -r requirements-schema-reg"):
        TestWorker(lambda _order: None, decoder="avro", schema_registry_url="http://registry")
