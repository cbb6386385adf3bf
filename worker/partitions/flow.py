"""Whether more of a partition should come, and what of it waits outside. Pure; consumer thread only."""

from __future__ import annotations

from typing import Any, List, Optional


class Flow:
    """What comes of one assignment, and what it is kept from."""

    __slots__ = ("_early", "_unstored", "held", "in_transit", "paused")

    def __init__(self) -> None:
        """All may come."""
        self.paused = False  # fetching is stopped, for back-pressure or because it is held
        self.held = ""  # why nothing more of it should be fetched, whatever room there is; empty: nothing is wrong
        self.in_transit = 0  # records of its tasks that were sent and not answered
        self._unstored = 0  # those that were refused (see `outbox`)
        self._early: Optional[List[Any]] = None  # messages that came while it is untold; None: it is told

    # ---- fetching -------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """The client fetches it no more."""
        self.paused = True

    def resume(self) -> None:
        """The client fetches it again."""
        self.paused = False

    # ---- as long as it is not known what the broker holds ------------------------------------------------------------

    @property
    def untold(self) -> bool:
        """Whether nothing of it may start, because it is not known where it begins."""
        return self._early is not None

    @property
    def early(self) -> int:
        """How many messages wait for that."""
        return len(self._early or ())

    def put_off(self, why: str) -> None:
        """The broker has not told what it holds."""
        self._early, self.held = self._early or [], why

    def told(self) -> None:
        """It has told now: what came early may be taken."""
        self.held = ""

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
        self.held = why

    def settled(self) -> None:
        """A record that was refused is stored, or nobody waits for it any more."""
        self._unstored -= 1
        if not self._unstored:
            self.held = ""
