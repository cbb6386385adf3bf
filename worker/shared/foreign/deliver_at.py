"""The header `deliver-at`: when a message is to be handled, and not before. A time in ISO 8601 with its offset from UTC, or
milliseconds since 1970. Pure.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any, Optional, Union

from kafka_worker.shared.foreign.errors import InvalidMessageError
from kafka_worker.shared.foreign.headers import readable_headers

HEADER = "deliver-at"
FORM = "a time like 2030-01-31T08:00:00Z, or milliseconds since 1970"
_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(?:[.,](\d{1,6})\d*)?(Z|[+-]\d\d:?\d\d)\Z")
_FIRST_MILLISECONDS = 100_000_000_000  # in 1973: a lower number is meant in seconds
_MOST_DIGITS = 15
_FIRST_SECONDS = _FIRST_MILLISECONDS // 1000  # a lower number is meant as a wait


def time_of(message: Any) -> Optional[float]:
    """Seconds since 1970; None: the message has no such header. Raises InvalidMessageError for one that says no time."""
    told = [value for name, value in readable_headers(message) if name == HEADER]
    if not told:
        return None
    try:
        at = _seconds((told[-1] or b"").decode("ascii"))
        in_words(at)
    except (ValueError, AttributeError, OverflowError):
        raise InvalidMessageError(f"its header {HEADER} is not {FORM}") from None
    return at


def written(at: Union[datetime, float]) -> str:
    """The header's value for a time: a datetime with its zone, or seconds since 1970. Raises ValueError."""
    try:
        if not isinstance(at, datetime):
            if 0 < at < _FIRST_SECONDS:
                raise ValueError("a wait")  # noqa: TRY301 (whatever is wrong with it is said in one way)
            at = datetime.fromtimestamp(at, timezone.utc)
        elif at.utcoffset() is None:
            raise ValueError("no zone")  # noqa: TRY301 (as above)
        return in_words(at.timestamp())
    except (TypeError, ValueError, OverflowError, OSError):
        wanted = "a datetime with its time zone, or seconds since 1970 (to wait: time.time() + 60), before the year 10000"
        raise ValueError(f"deliver_at must be {wanted}, not {at!r}") from None


def in_words(at: float) -> str:
    """The same for seconds since 1970. Raises ValueError and OverflowError for what is beyond the year 9999."""
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _seconds(text: str) -> float:
    if text.isdigit() and len(text) <= _MOST_DIGITS and int(text) >= _FIRST_MILLISECONDS:
        return int(text) / 1000
    parts = _ISO.match(text)
    if parts is None:
        raise ValueError(text)
    day, minutes, seconds, fraction, offset = parts.groups()
    zone = "+0000" if offset == "Z" else offset.replace(":", "")
    whole = f"{day}T{minutes}{seconds or ':00'}.{fraction or '0'}{zone}"
    return datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
