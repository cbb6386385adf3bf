"""What a message means does not depend on what is installed: the quick decoder gives what `json` gives, of whatever bytes."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any, Tuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kafka_worker.handler import decoding
from kafka_worker.handler.decoding import decode, quick_decoder
from kafka_worker.shared.foreign.errors import UndecodableError

quick = quick_decoder()

TOKENS = (
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\n", b"\x00", b"\x1f", b"\x0b", b"1", b"0", b"-", b".", b"e",
    b"E", b"+", b"9" * 19, b"1" * 4301, b"NaN", b"Infinity", b"true", b"null", b'"a":', b'"b":', b"\\u", b"d800", b"\\udc00",
    b"\\ud83d", b"\\x", b"\xc3\xa9", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xf4\x90\x80\x80",
)  # fmt: skip
DIGITS = st.integers(0, 10**30).map(str)
NUMBERS = st.tuples(
    st.sampled_from(["", "-", "0", "+"]), DIGITS, st.one_of(st.just(""), DIGITS.map(lambda digits: f".{digits}")),
    st.one_of(st.just(""), st.integers(-400, 400).map(lambda number: f"e{number}")),
).map("".join)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def outcome(decoder: Any, value: bytes) -> Tuple[str, str]:
    """What comes of it, with types, signs and orders: `repr` has them all."""
    try:
        decoded = decoder(value)
        return type(decoded).__name__, repr(decoded)
    except UndecodableError as problem:
        return "refused", str(problem)


@given(st.lists(st.sampled_from(TOKENS), max_size=10).map(b"".join))
@example(b"-0")
@example(b"-0.0")
@example(b"19999999999999999999")
@example(b"18446744073709551616")
@example(b"9007199254740993.0")
@example(b"2.4703282292062327e-324")
@example(b"1e999")
@example(b'{"a":1,"b":2,"a":3}')
@example(b'"\\ud800"')
@example(b'"\\udc00\\ud800"')
@example(b"\xef\xbb\xbf{}")
@example("{}".encode("utf-16"))
@example("[1]".encode("utf-32-le"))
@example(b"[" * 990 + b"]" * 990)
@example(b'{"a":' * 995 + b"1" + b"}" * 995)
@example(b"[" * 100_000)
def test_of_any_bytes_the_quick_decoder_makes_what_json_makes(value: bytes) -> None:
    for whole in (value, b"[" + value + b"]", b'{"a":' + value + b"}", b'"' + value + b'"'):
        assert outcome(quick, whole) == outcome(decode, whole)


@given(NUMBERS)
def test_of_any_number_the_quick_decoder_makes_what_json_makes(text: str) -> None:
    assert outcome(quick, text.encode()) == outcome(decode, text.encode())


@given(VALUES, st.booleans())
def test_of_any_value_the_quick_decoder_makes_what_json_makes(value: Any, ascii_only: bool) -> None:
    written = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")

    assert outcome(quick, written) == outcome(decode, written)


@pytest.mark.parametrize("version", ["0.18.6", "none"])
def test_a_library_that_is_not_exact_or_is_no_such_library_is_not_used(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgspec", SimpleNamespace(__version__=version, json=None))

    assert quick_decoder.__wrapped__() is decode


def test_who_decodes_nothing_imports_nothing_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_SPARED", [])

    decoding.spare_quick_decoder()

    assert quick_decoder.__wrapped__() is decode


def test_a_tombstone_is_none() -> None:
    assert quick(None) is None
