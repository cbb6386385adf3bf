"""A circuit breaker: when too large a share of the calls fails, nothing more is started for a while, then a few messages try
whether calls succeed again. Pure: the clock is passed in. States and words are those of Michael T. Nygard's "Release It!" and
of resilience4j.

The wait before each new try does not grow: a try is a few calls, which hurt nobody, and that the calls succeed again should be
noticed within one wait, however long they failed.
"""

from __future__ import annotations

import logging
from enum import Enum
from typing import Dict, FrozenSet, Optional

from service.snapshot import BreakerReport
from worker.error_text import names_of, plain, text_of
from worker.windows import Window

log = logging.getLogger(__name__)

LONGEST_TEXT = 200  # characters of an error's text in the log


class State(str, Enum):
    """Of a breaker."""

    CLOSED = "closed"  # as if it were not there
    OPEN = "open"  # nothing is started
    HALF_OPEN = "half-open"  # probes run


MOVES: Dict[State, FrozenSet[State]] = {
    State.CLOSED: frozenset({State.OPEN}),
    State.OPEN: frozenset({State.HALF_OPEN}),
    State.HALF_OPEN: frozenset({State.OPEN, State.CLOSED}),
}


class Breaker:
    """Of one handler, of one thing that handlers depend on, or of the dead letters. Consumer thread only."""

    def __init__(
        self, name: str, window: Window, share: float, open_seconds: float, probes: int, *, trickle: bool = False
    ) -> None:
        """Closed. It opens when `share` of the calls in the window have failed, for `open_seconds`; `probes` that succeed
        close it. `trickle`: the failure of a probe has its usual consequence."""
        self.name = name
        self.state = State.CLOSED
        self.since = 0.0  # monotonic seconds, of the last move
        self.opened_times = 0
        self._window = window
        self._share = share
        self._open_seconds = open_seconds
        self._probes = probes
        self._trickle = trickle
        self._succeeded = 0  # probes of this round
        self._verdict = (0, 0)  # (calls, failed) in the window when it opened

    @property
    def wanted(self) -> int:
        """How many more probes must succeed; 0 while none is let through."""
        return self._probes - self._succeeded if self.state is State.HALF_OPEN else 0

    def turn(self, now: float) -> None:
        """Let probes through when it is time."""
        if self.state is State.OPEN and now - self.since >= self._open_seconds:
            self._succeeded = 0
            self._move(State.HALF_OPEN, now)
            log.info("Circuit breaker of %s is half-open: %d calls try whether it works again", self.name, self._probes)

    def succeeded(self, count: int, now: float, *, probe: bool) -> None:
        """So many calls succeeded. What is no probe counts while closed only."""
        if self.state is State.CLOSED:
            self._window.add(count, 0, now)
        elif self.state is State.HALF_OPEN and probe:
            self._succeeded += count
            if self.wanted <= 0:
                self._close(now)

    def failed(self, error: BaseException, now: float, *, probe: bool) -> bool:
        """A call failed; whether that says nothing of its message, which should be run again as if it had not been tried.

        When another probe of the same round has succeeded before, it does say something of the message. Without that, messages
        that fail by themselves would be the probes again and again, and keep it open for good.
        """
        if self.state is State.HALF_OPEN and probe:
            its_own = self._trickle or self._succeeded > 0
            self._open(now)
            log.warning("Circuit breaker of %s is open again: a call that tried it failed (%s)", self.name, _described(error))
            return not its_own
        if self.state is State.CLOSED:
            self._window.add(0, 1, now)
            if self._window.reached(self._share, now):
                self._open(now)
                self._complain(error)
        return self.state is not State.CLOSED

    def why(self) -> Optional[str]:
        """In words, while it holds anything up."""
        return None if self.state is State.CLOSED else "the circuit breaker of %s is %s" % (self.name, self.state.value)

    def report(self, now: float) -> BreakerReport:
        """For the snapshot."""
        calls, bad = self._window.counts(now) if self.state is State.CLOSED else self._verdict
        elapsed = max(0.0, now - self.since)
        return BreakerReport(
            name=self.name,
            state=self.state.value,
            failed_share=bad / calls if calls else 0.0,
            calls=calls,
            opened_times=self.opened_times,
            seconds_in_state=elapsed if self.opened_times else -1.0,
            probe_in=max(0.0, self._open_seconds - elapsed) if self.state is State.OPEN else -1.0,
        )

    def _open(self, now: float) -> None:
        if self.state is State.CLOSED:
            self._verdict = self._window.counts(now)
        self.opened_times += 1
        self._move(State.OPEN, now)

    def _complain(self, error: BaseException) -> None:
        calls, bad = self._verdict
        log.warning(
            "Circuit breaker of %s opened: %d of %d calls failed (share %.2f); next try in %.1f s; the last: %s",
            self.name, bad, calls, bad / calls, self._open_seconds, _described(error),
        )  # fmt: skip

    def _close(self, now: float) -> None:
        self._window.clear()
        self._move(State.CLOSED, now)
        log.info("Circuit breaker of %s is closed: calls succeed again", self.name)

    def _move(self, state: State, now: float) -> None:
        if state not in MOVES[self.state]:
            raise ValueError("a breaker can't go from %s to %s" % (self.state.value, state.value))
        self.state, self.since = state, now


def _described(error: BaseException) -> str:
    return "%s: %s" % (plain(names_of(error)[0]), text_of(error)[:LONGEST_TEXT])
