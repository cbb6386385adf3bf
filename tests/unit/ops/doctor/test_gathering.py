"""What the doctor reads of a message."""

from __future__ import annotations

from typing import List, Optional, Tuple

import pytest

from kafka_worker.ops.doctor.facts import UNFRAMED
from kafka_worker.ops.doctor.gathering import GUID_HEADER, _schema_of
from tests.unit.fakes import Message


@pytest.mark.parametrize(
    ("value", "headers", "schema"),
    [
        (b"\0\0\0\1\2something", [], 258),
        (b"{}", [], UNFRAMED),
        (b"\0\0\0\1", [], UNFRAMED),
        (b"something", [(GUID_HEADER, b"\1")], None),
        (None, [], None),
    ],
)
def test_a_message_names_its_schema_in_its_first_bytes_or_in_a_header(
    value: Optional[bytes], headers: List[Tuple[str, Optional[bytes]]], schema: Optional[int]
) -> None:
    message = Message(0, value=value)
    message.given_headers = headers

    assert _schema_of(message) == schema


def test_headers_that_can_not_be_read_are_asked_for_once_and_say_nothing() -> None:
    message = Message(0, value=b"\0\0\0\1\2something")
    message.broken = True

    assert _schema_of(message) == 258
    assert not message.broken
