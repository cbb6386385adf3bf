"""What a handler may raise to say what should become of its message. The one module of ours that handlers may import:

    from service.outcomes import Reject, Retry

Anything else that a handler raises is a failed attempt, and is tried again after the usual back-off.
"""

from __future__ import annotations

from typing import Optional


class Retry(Exception):  # noqa: N818 (a wish, not an error)
    """Try again, `after` so many seconds if given, else after the usual back-off. It counts as an attempt: the wish of the
    last one is not heard, and the message becomes a dead letter."""

    def __init__(self, reason: str = "", after: Optional[float] = None) -> None:
        """`reason` goes into the log and into the dead letter."""
        super().__init__(reason)
        self.after = after


class Reject(Exception):  # noqa: N818 (a wish, not an error)
    """This message will never work: make it a dead letter now, without another attempt."""

    def __init__(self, reason: str = "") -> None:
        """`reason` goes into the log and into the dead letter."""
        super().__init__(reason)
