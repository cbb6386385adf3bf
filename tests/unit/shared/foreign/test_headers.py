from __future__ import annotations

from typing import Optional

import pytest

from kafka_worker.shared.foreign.errors import UndecodableError
from kafka_worker.shared.foreign.headers import add, headers_of, readable_headers, trace_id_of
from tests.unit.fakes import Message


def test_headers_that_can_not_be_read_are_a_fault_for_whoever_wants_them_whoever_asked_before() -> None:
    message = Message(0)
    message.broken = True

    passed_on = [name for name, _ in readable_headers(message)]
    add(message, [("more", b"1")])
    with pytest.raises(UndecodableError):
        headers_of(message)

    assert passed_on == ["headers-lost"]
    assert trace_id_of(message) is None


@pytest.mark.parametrize(
    ("value", "trace_id"),
    [
        (b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "0af7651916cd43dd8448eb211c80319c"),
        (b"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", "0af7651916cd43dd8448eb211c80319c"),
        (b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01", None),
        (b'00-"; forged', None),
        (None, None),
    ],
)
def test_the_trace_of_a_message_is_told_by_its_header_if_that_is_one(value: Optional[bytes], trace_id: Optional[str]) -> None:
    message = Message(0)
    message.given_headers = [("traceparent", value)]

    assert trace_id_of(message) == trace_id
