"""Whether more of a partition should come, what of it waits outside, and since when nothing moves. Pure; consumer thread
only."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional, Tuple


class Flow:
    """What comes of one assignment, and what it is kept from."""

    __slots__ = ("_causes", "_early", "_unstored", "held", "in_transit", "paused", "try_at", "unread", "unread_at")

    def __init__(self) -> None:
        """All may come."""
        self.paused = False  # fetching is stopped, for back-pressure or because it is held
        self.held = ""  # why nothing more of it should be fetched, whatever room there is; empty: nothing is wrong
        self.in_transit = 0  # records of its tasks that were sent and not answered
        self.unread = ""  # why it can't be read any further; while it is tried again nothing holds it, and this stays
        self.unread_at = -1  # from this offset on; negative: not even that is known
        self.try_at = math.inf  # when it is tried again, in monotonic seconds
        self._causes: Dict[str, str] = {}  # of being held
        self._unstored = 0  # those that were refused (see `outbox`)
        self._early: Optional[List[Any]] = None  # messages that came while it is untold; None: it is told

    def _hold(self, cause: str, why: str) -> None:
        self._causes[cause] = why
        self.held = next(filter(None, self._causes.values()), "")

    # ---- fetching -------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """The client fetches it no more."""
        self.paused = True

    def resume(self) -> None:
        """The client fetches it again."""
        self.paused = False

    # ---- as long as it can't be read --------------------------------------------------------------------------------

    def unreadable(self, why: str, offset: int, try_at: float) -> bool:
        """From this offset on it can't be read, and is tried again at `try_at`; whether that is new. What lies behind may be
        delivered all the same: the client steps over some faults by itself, which would lose what it steps over."""
        new = not self.unread
        if new:
            self.unread, self.unread_at = why, offset
        if new or not self._causes["unread"]:  # one fault may be told by several errors
            self.try_at = try_at
            self._hold("unread", self.unread)
        return new

    def try_again(self) -> None:
        """It is fetched once more from where it could not be read."""
        self.try_at = math.inf
        self.paused = False
        self._hold("unread", "")

    def readable(self, batch: List[Any], expected: int) -> List[Any]:
        """What of these may be taken: what lies before, from the next offset expected on, and all once it was tried again."""
        if not self._causes["unread"] and batch[-1].offset() >= self.unread_at:
            self.unread = ""
            return batch
        return [message for message in batch if expected <= message.offset() < self.unread_at]

    def read_to_the_end(self) -> bool:
        """The client says that there is no more; whether that is so."""
        if self.unread and not self._causes["unread"]:
            self.unread = ""
        return not self.unread

    # ---- as long as it is not known what the broker holds ------------------------------------------------------------

    @property
    def untold(self) -> bool:
        """Whether nothing of it may start, because it is not known where it begins."""
        return self._early is not None

    @property
    def early(self) -> int:
        """How many messages wait for that."""
        return len(self._early or ())

    @property
    def put_off_still(self) -> bool:
        """Whether it has not been told yet."""
        return bool(self._causes.get("untold"))

    def put_off(self, why: str) -> None:
        """The broker has not told what it holds."""
        self._early = self._early or []
        self._hold("untold", why)

    def told(self) -> None:
        """It has told now: what came early may be taken."""
        self._hold("untold", "")

    def keep(self, batch: List[Any]) -> None:
        """These came early."""
        self._early = [*(self._early or ()), *batch]

    def drop_early(self) -> None:
        """What came early comes again."""
        self._early = self._early and []

    def take_early(self) -> List[Any]:
        """What came early; nothing does any more."""
        early, self._early = self._early or [], None
        return early

    # ---- records that its tasks depend on ----------------------------------------------------------------------------

    def sent(self) -> None:
        """A record is on its way."""
        self.in_transit += 1

    def answered(self) -> None:
        """It was stored, or refused."""
        self.in_transit -= 1

    def refused(self, why: str, *, again: bool) -> None:
        """A record can't be stored; `again`: that was known of it. Nothing more should be fetched until all are."""
        self._unstored += not again
        self._hold("unstored", why)

    def settled(self) -> None:
        """A record that was refused is stored, or nobody waits for it any more."""
        self._unstored -= 1
        if not self._unstored:
            self._hold("unstored", "")


class Progress:
    """Since when some numbers have not changed, as of each look at them."""

    __slots__ = ("_since", "_was")

    def __init__(self) -> None:
        """There was no look yet."""
        self._was: Optional[Tuple[int, ...]] = None
        self._since = 0.0

    def still(self, now: float, *numbers: int) -> float:
        """For how many seconds they have been what they are now."""
        if numbers != self._was:
            self._was, self._since = numbers, now
        return now - self._since

    def restart(self) -> None:
        """Time counts from the next look on."""
        self._was = None
