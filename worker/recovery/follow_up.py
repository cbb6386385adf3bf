"""Whether the group waits for our member to join again. A cooperative member that has given partitions up owes it that
(KIP-429 calls it the follow-up rebalance): only then do others get them. Whoever takes the seat of a static member next gets
at once what the group has written down for it, and nobody rebalances: if the member before died, or ended, between the two,
what it had given up is nobody's, for ever. So it is noted, in a file beside the slot's lock, which survives `kill -9`.

Likewise if that next one subscribes to other topics: the group goes on by what the one before was subscribed to, gives us
partitions of topics that are no longer ours, and nobody those that are. So these are noted, too."""

from __future__ import annotations

import contextlib
import os
from typing import Iterable

from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.system.runtime_files import open_private, replace

log = logs.logger(__name__)


class FollowUp:
    """What a slot's member owes. Consumer thread only, and only while the slot's lock is held."""

    def __init__(self, path: str) -> None:
        """`path`: of the file, which exists as long as a rebalance is owed; empty: none ever is."""
        self._path = path
        self._noted = path and f"{path}.topics"

    @property
    def owed(self) -> bool:
        """By us, or by whoever had the slot before."""
        return bool(self._path) and os.path.exists(self._path)

    def sit_down(self, topics: Iterable[str]) -> None:
        """We take the seat, to subscribe to these: who had it before may have been subscribed to others."""
        if not self._path:
            return
        ours = "\n".join(sorted(topics))
        with contextlib.suppress(OSError, ValueError):  # it is not known
            with open(self._noted, encoding="utf-8") as file:
                if file.read() == ours:
                    return
            self.owe()
        with contextlib.suppress(OSError):  # there is no room: who comes next finds what is noted now, and joins twice
            replace(self._noted, ours)

    def owe(self) -> None:
        """Partitions are being given up, or the group has to be told anew what we subscribe to."""
        if not self._path:
            return
        try:
            os.close(open_private(self._path, os.O_WRONLY))
        except OSError as problem:
            log.warning(
                "That partitions are given up can't be noted, and if this process dies now they may stay with nobody: %s",
                problem, extra=about(Event.FILES_GONE),
            )  # fmt: skip

    def paid(self) -> None:
        """Since then the group has told us what is ours, or that we have left."""
        self._remove(self._path)

    def left(self) -> None:
        """The seat is given up for good."""
        self._remove(self._path)
        self._remove(self._noted)

    def _remove(self, path: str) -> None:
        with contextlib.suppress(OSError):  # it is not there; or it stays, and the next one in the slot joins twice
            if path:
                os.unlink(path)
