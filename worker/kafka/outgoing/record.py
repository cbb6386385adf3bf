"""What is to be produced."""

from __future__ import annotations

from typing import Callable, List, NamedTuple, Optional, Tuple, Union

Headers = List[Tuple[str, Union[str, bytes, None]]]
#: Told why a record can't be sent as it is.
Failed = Callable[[Exception], None]


class OutgoingRecord(NamedTuple):
    """A record of it."""

    topic: str
    key: Optional[bytes]
    value: Optional[bytes]
    headers: Headers
    timestamp: int = 0  # milliseconds since 1970; 0: that of sending
