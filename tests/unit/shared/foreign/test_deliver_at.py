from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, Optional

import pytest

from kafka_worker.shared.foreign.answers import Send
from kafka_worker.shared.foreign.deliver_at import HEADER, time_of
from kafka_worker.shared.foreign.errors import InvalidMessageError
from tests.unit.fakes import Message

AT = 1_900_000_000.25
ZONE = timezone(timedelta(hours=5, minutes=30))


def told(value: Optional[bytes]) -> Optional[float]:
    message = Message(0)
    message.given_headers = [("other", b"1"), (HEADER, b"1970-01-01T00:00Z"), (HEADER, value)]  # the last one counts
    return time_of(message)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (b"1900000000250", AT),
        (b"2030-03-17T17:46:40.250Z", AT),
        (b"2030-03-17T17:46:40.25+00:00", AT),
        (b"2030-03-17 23:16:40.250000000+0530", AT),
        (b"2030-03-17T17:46:40Z", AT - 0.25),
        (b"2030-03-17T17:46Z", AT - 40.25),
    ],
)
def test_a_time_is_told_in_iso_8601_or_in_milliseconds(value: bytes, at: float) -> None:
    assert told(value) == at


@pytest.mark.parametrize(
    "value",
    [
        None, b"", b"\xff", b"soon", b"-5", b"1900000000", "１９００００００００２５０".encode(),  # noqa: RUF001
        b"9" * 15, b"1" * 16, b"2030-03-17T17:46:40", b"2030-03-17", b"2030-02-30T00:00Z", b"0000-01-01T00:00Z",
        b"9999-12-31T23:59:59-12:00", b"2030-03-17T17:46:40Z\n",
    ],
)  # fmt: skip
def test_what_says_no_time_is_wrong_with_its_message(value: Optional[bytes]) -> None:
    with pytest.raises(InvalidMessageError, match="its header deliver-at is not a time like 2030-01-31T08:00:00Z"):
        told(value)


def test_without_the_header_a_message_has_no_time() -> None:
    assert time_of(Message(0)) is None


@pytest.mark.parametrize("at", [AT, datetime.fromtimestamp(AT, timezone.utc), datetime.fromtimestamp(AT, ZONE)])
def test_what_is_sent_with_a_time_has_it_in_its_header(at: Any) -> None:
    sent = Send("reminders", 1, headers={"h": "1"}, deliver_at=at)

    assert Send.checked(sent).headers == [("h", b"1"), (HEADER, b"2030-03-17T17:46:40.250Z")]


@pytest.mark.parametrize(
    "at",
    [
        datetime(2030, 1, 1), "2030-01-01T00:00Z", float("nan"), 1e15, timedelta(hours=1),  # noqa: DTZ001
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), 60, 86400.0,
    ],
)  # fmt: skip
def test_a_time_without_its_zone_or_beyond_all_and_a_wait_are_refused_where_they_are_written(at: Any) -> None:
    with pytest.raises(ValueError, match="deliver_at must be a datetime with its time zone, or seconds since 1970"):
        Send("reminders", 1, deliver_at=at)
