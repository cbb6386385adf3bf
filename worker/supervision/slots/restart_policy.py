"""What to do when a child has died: how long to wait before the next one, and when to give up. Pure.

| exit | what follows |
|---|---|
| 0 | it was asked to go by somebody else: the next one at once |
| 70, 75, a signal, anything else | the next one at once, twice in a minute of trouble; then after a growing back-off |
| 76 fenced | after a session timeout: the other member has to be gone first |
| 77 not authorised | after a minute: credentials are replaced by people |
| 78 configuration | none: stop everything, because each child would say the same (later on it comes here as 70) |
"""

from __future__ import annotations

import signal
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Callable, Deque, Optional
from typing import Counter as CounterType

from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.ipc.snapshot import Replaced

HEALTHY_SECONDS = 60.0  # a child that lived this long owes nothing to those before it
RESTARTS_AT_ONCE = 2  # one that follows soon may be the same accident; a third is a pattern
FIRST_BACKOFF_SECONDS = 0.1
LONGEST_BACKOFF_SECONDS = 10.0  # well below a session timeout, within which a static member must be back
NOT_AUTHORISED_SECONDS = 60.0


_BY_STATUS = {
    int(ExitCode.OK): Replaced.STOPPED,
    int(ExitCode.FENCED): Replaced.FENCED,
    int(ExitCode.NOT_AUTHORISED): Replaced.UNAUTHORISED,
}


@dataclass
class SlotRecord:
    """What the policy remembers of a slot."""

    failures: int = 0  # since it was last well
    joined: bool = False  # one of its processes has been in the group
    restarts: int = 0  # in all
    reasons: CounterType[Replaced] = field(default_factory=Counter)  # of these, and of those that a successor has replaced

    def count(self, status: int, *, hung: bool, out_of_memory: bool) -> None:
        """A process has ended with this status, and is replaced. `hung`: so it was found, or has said itself; `out_of_memory`:
        the kernel has killed for want of memory just now."""
        if hung or status == ExitCode.GAVE_UP:  # it was cut off, because something in it did not end
            reason = Replaced.HUNG
        elif status == -signal.SIGKILL and out_of_memory:
            reason = Replaced.OOM
        else:
            reason = _BY_STATUS.get(status, Replaced.CRASH)
        self.reasons[reason] += 1


class RestartPolicy:
    """The policy over all slots."""

    def __init__(self, limit: int, window: float, session_timeout: float, random: Callable[[], float]) -> None:
        """More than `limit` restarts within `window` seconds mean giving up; `random` gives 0 to 1."""
        self._limit = limit
        self._window = window
        self._session_timeout = session_timeout
        self._random = random
        self._recent: Deque[float] = deque()

    def delay(self, record: SlotRecord, status: int, lived: float, now: float) -> Optional[float]:
        """Seconds until the slot's next child, after one that lived `lived` seconds and ended with `status`; None: give up."""
        record.restarts += 1
        if status == ExitCode.CONFIGURATION:
            return None
        if status == ExitCode.OK:
            return 0.0
        if self._too_many(now):
            return None
        record.failures = 1 if lived >= HEALTHY_SECONDS else record.failures + 1
        if status == ExitCode.FENCED:
            return self._session_timeout
        if status == ExitCode.NOT_AUTHORISED:
            return NOT_AUTHORISED_SECONDS
        return self._backoff(record.failures)

    @property
    def patience(self) -> str:
        """How far it is from giving up."""
        return f"restart {len(self._recent)} of at most {self._limit} within {self._window:g} s"

    def _backoff(self, failures: int) -> float:
        if failures <= RESTARTS_AT_ONCE:
            return 0.0
        doublings = min(failures - RESTARTS_AT_ONCE - 1, 60)
        whole = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0**doublings)
        return whole * (0.75 + 0.5 * self._random())

    def _too_many(self, now: float) -> bool:
        self._recent.append(now)
        while self._recent[0] <= now - self._window:
            self._recent.popleft()
        return len(self._recent) > self._limit
