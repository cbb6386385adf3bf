"""Handlers that want the value as it is, and functions of the user's that decode."""

from __future__ import annotations

import dataclasses
import zlib
from pathlib import Path
from typing import Any, List, NewType, Optional

import msgspec
import pydantic
import pytest

from kafka_worker import Context, Reject, Retry
from kafka_worker.handler.loading import HandlerError
from kafka_worker.testing import TestWorker

seen: List[Any] = []
RAW = "über".encode()


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


def plain(message: Any) -> None:
    seen.append(message)


def of_bytes(message: bytes) -> None:
    seen.append(message)


def of_text(message: str, _context: Context) -> None:
    seen.append(message)


def of_optional(message: Optional[bytes]) -> None:
    seen.append(message)


Body = NewType("Body", bytes)


def of_a_name(message: Optional[Body]) -> None:
    seen.append(message)


async def awaited(message: bytes) -> None:
    seen.append(message)


def listed(messages: List[bytes]) -> None:
    seen.extend(messages)


@pytest.mark.parametrize(
    ("handler", "decoder", "wanted"),
    [
        (plain, "json", {"a": 1}), (plain, "bytes", b'{"a": 1}'), (plain, "text", '{"a": 1}'), (of_bytes, "json", b'{"a": 1}'),
        (of_text, "json", '{"a": 1}'), (of_text, "bytes", '{"a": 1}'), (of_bytes, "text", b'{"a": 1}'),
        (of_a_name, "json", b'{"a": 1}'), (awaited, "json", b'{"a": 1}'), (listed, "json", b'{"a": 1}'),
    ],
)  # fmt: skip
def test_a_handler_gets_the_raw_value_where_its_hint_or_the_setting_says_so(handler: Any, decoder: str, wanted: Any) -> None:
    with TestWorker(handler, decoder=decoder, max_message_bytes=8) as worker:
        assert worker.run(b'{"a": 1}').done
        assert worker.run(b"123456789").dead_letter

    assert seen == [wanted]


@pytest.mark.parametrize(
    ("handler", "decoder", "value", "outcome"),
    [
        (plain, "bytes", b"\xff", "done"), (plain, "bytes", None, "done"), (plain, "text", None, "done"),
        (plain, "text", RAW, "done"), (plain, "text", b"\xff", "invalid"), (of_text, "json", b"\xff", "invalid"),
        (of_bytes, "json", None, "invalid"), (of_optional, "json", None, "done"),
    ],
)  # fmt: skip
def test_what_is_no_text_and_a_tombstone_that_the_hint_does_not_let_through_are_dead_letters(
    handler: Any, decoder: str, value: Any, outcome: str
) -> None:
    with TestWorker(handler, decoder=decoder) as worker:
        result = worker.run(value)

    assert (result.dead_letter.reason if result.dead_letter else result.state) == outcome


def unpacked(value: Optional[bytes]) -> Any:
    return None if value is None else zlib.decompress(value).decode()


def by_header(value: bytes, context: Context) -> Any:
    kind = dict(context.headers).get("kind")
    if kind == b"never":
        raise Reject("not ours")
    if kind == b"later" and context.attempt == 1:
        raise Retry("the key server is busy", after=7)
    return int(value), context.topic


@pytest.mark.parametrize("handler", [plain, awaited, listed])
def test_a_function_decodes_and_what_it_raises_counts_as_if_the_handler_had_raised_it(handler: Any) -> None:
    with TestWorker(handler, decoder=f"{__name__}:by_header", kafka_topic="orders") as worker:
        assert worker.run(b"17").done
        never, later, wrong = (worker.run(b"18", headers={"kind": "never"}), worker.run(b"19", headers={"kind": "later"}),
                               worker.run(b"no number"))  # fmt: skip
        assert (never.dead_letter.reason, later.retry_in) == ("rejected", 7.0)  # type: ignore[union-attr]
        assert wrong.dead_letter
        assert wrong.dead_letter.error.startswith("UndecodableError: ValueError: invalid literal")
        worker.finish()

    assert seen == [(17, "orders"), (19, "orders")]


class Order(pydantic.BaseModel):
    id: int


class Amount(msgspec.Struct):
    id: int


@dataclasses.dataclass
class Own:
    id: int


def of_model(message: Order) -> None:
    seen.append(message)


def of_structs(messages: List[Amount]) -> None:
    seen.extend(messages)


def of_own(message: Optional[Own], _context: Context) -> None:
    seen.append(message)


def amount(value: bytes) -> Amount:
    return msgspec.json.decode(value, type=Amount)


def packed(value: Optional[bytes]) -> Any:
    return None if value is None else {"id": int(value)}


def packed_by_topic(value: Optional[bytes], _context: Context) -> Any:
    return packed(value)


def own(value: Optional[bytes]) -> Any:
    return None if value is None else Own(int(value))


@pytest.mark.parametrize("decoder", [f"{__name__}:Order.model_validate_json", f"{__name__}:amount"])
def test_a_violation_that_a_function_lets_through_is_told_by_its_place_and_not_by_its_value(decoder: str) -> None:
    with TestWorker(plain, decoder=decoder) as worker:
        letter = worker.run({"id": "a secret"}).dead_letter

    assert letter
    assert letter.error.startswith("InvalidMessageError: /id: ")
    assert "secret" not in str(letter.headers)


@pytest.mark.parametrize(
    ("handler", "decoder", "wanted"),
    [(of_model, "packed", Order(id=7)), (of_structs, "packed_by_topic", Amount(7)), (of_own, "own", Own(7))],
)
def test_of_what_a_function_decodes_a_model_is_made_where_the_hint_says_so(handler: Any, decoder: str, wanted: Any) -> None:
    with TestWorker(handler, decoder=f"{__name__}:{decoder}", max_attempts=1) as worker:
        assert worker.run(b"7").done
        tombstone = worker.run(None)

    assert seen == [wanted, *([None] if handler is of_own else [])]
    assert tombstone.done == (handler is of_own)
    assert handler is of_own or "InvalidMessageError: the whole message: a tombstone" in tombstone.dead_letter.error  # type: ignore[union-attr]


def test_another_error_of_a_decoding_function_is_a_failed_attempt() -> None:
    with TestWorker(plain, decoder=f"{__name__}:unpacked", max_attempts=2) as worker:
        assert worker.run(zlib.compress(b"text")).done
        assert worker.run(None).done
        damaged = worker.run(b"damaged")
        worker.finish()

    assert (seen, damaged.attempts, type(damaged.error)) == (["text", None], 2, zlib.error)


def test_a_topic_may_have_a_decoder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('decoder = "text"\n[topics.images]\ndecoder = "bytes"\n'
                                            f'[topics."^packed-.*"]\ndecoder = "{__name__}:unpacked"\n')  # fmt: skip
    handlers = f"texts={__name__}:plain,images={__name__}:plain,^packed-.*={__name__}:plain"
    with TestWorker(handlers=handlers, settings_file=tmp_path / "settings.toml") as worker:
        for topic, value in (("texts", RAW), ("images", RAW), ("packed-eu", zlib.compress(RAW))):
            assert worker.run(value, topic=topic).done

    assert seen == ["über", RAW, "über"]


async def asynchronous(value: bytes) -> Any:
    return value


def three(_value: bytes, _context: Context, _more: Any) -> Any:
    return None


@pytest.mark.parametrize(
    ("decoder", "text"),
    [
        ("asynchronous", "is an async function; wanted: a plain one"),
        ("three", r"wanted: decode\(value\) or decode\(value, context\)"),
        ("RAW", "is a bytes, not a function"),
        ("nowhere", "cannot be imported"),
    ],
)
def test_what_can_not_decode_is_told_when_it_is_loaded(decoder: str, text: str) -> None:
    with pytest.raises(HandlerError, match=f"DECODER={__name__}:{decoder} .*{text}"):
        TestWorker(plain, decoder=f"{__name__}:{decoder}")
