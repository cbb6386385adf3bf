"""A circuit breaker: when too large a share of the calls fails, nothing more is started for a while, then a few messages try
whether calls succeed again. Pure: the clock is passed in. States and words are those of Michael T. Nygard's "Release It!" and
of resilience4j, whose breaker decides by a share while it is half-open, too.

It is for what handlers depend on, and can't see why a call failed: many messages may be bad themselves. What tells the two
apart is that in an outage nothing succeeds. So a probe that succeeds lets twice as many run (as a connection of TCP begins,
RFC 5681), and only a row of failures as long opens it again: it stays half-open for as long as most calls fail and some
succeed, and everything flows. A message that fails again although others have succeeded meanwhile is bad itself.

The wait before each new try does not grow: a try is a few calls, which hurt nobody, and that the calls succeed again should be
noticed within one wait, however long they failed.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Dict, FrozenSet, Optional

from kafka_worker.gates.windows import Window
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.foreign.errors import class_of, text_of
from kafka_worker.shared.foreign.texts import counted
from kafka_worker.shared.ipc.snapshot import BreakerReport
from kafka_worker.shared.states import StateMachine

log = logs.logger(__name__)

LONGEST_TEXT = 200  # characters of an error's text in the log
MOST_PROBES = 256  # at once, the highest BREAKER_PROBES; and so many that fail one after the other open it again
NEVER = -math.inf


class State(str, Enum):
    """Whether a breaker lets calls through."""

    CLOSED = "closed"  # as if it were not there
    OPEN = "open"  # nothing is started
    HALF_OPEN = "half-open"  # probes run


TRANSITIONS: Dict[State, FrozenSet[State]] = {
    State.CLOSED: frozenset({State.OPEN}),
    State.OPEN: frozenset({State.HALF_OPEN}),
    State.HALF_OPEN: frozenset({State.OPEN, State.CLOSED}),
}


class Breaker:
    """The breaker of one handler, of one thing that handlers depend on, or of the dead letters. Consumer thread only."""

    def __init__(
        self,
        name: str,
        window: Window,
        share: float,
        open_seconds: float,
        probes: int,
        in_a_row: float,
        *,
        trickle: bool = False,
    ) -> None:
        """Closed. It opens when `share` of the calls in the window have failed, or the last `in_a_row`, for `open_seconds`;
        `probes` are let through at first, and as many that succeed may close it. `trickle`: the first probe that fails opens
        it again, and its failure has its usual consequence."""
        self.name = name
        self.since = 0.0  # monotonic seconds, of the last move
        self.opened_times = 0
        self._closed_until = 0.0  # monotonic seconds
        self._state = StateMachine("a breaker", TRANSITIONS)
        self._window = window
        self._share = share
        self._open_seconds = open_seconds
        self._probes = probes
        self._in_a_row = in_a_row
        self._trickle = trickle
        self._wait = open_seconds
        self._most = probes  # may run at once
        self._good = 0  # probes that succeeded since it was open
        self._row = 0  # failures since the last success
        self._succeeded_at = NEVER
        self._verdict = (0, 0)  # (calls, failed) in the window when it opened
        self._opened_by = ""  # the class of the last error then

    @property
    def state(self) -> State:
        """Whether it lets calls through."""
        return self._state.now

    @property
    def wanted(self) -> int:
        """How many probes may run at once; 0 while none is let through."""
        return self._most if self.state is State.HALF_OPEN else 0

    def turn(self, now: float) -> None:
        """Let probes through when it is time."""
        if self.state is State.OPEN and now - self.since >= self._wait:
            self._move(State.HALF_OPEN, now)
            log.info(
                "Circuit breaker of %s is half-open, to try whether it works again: %s at first",
                self.name, counted(self._most, "call"), extra=about(Event.BREAKER_HALF_OPEN, breaker=self.name),
            )  # fmt: skip

    def succeeded(self, count: int, now: float, *, probe: bool) -> None:
        """So many calls succeeded. What is no probe counts while closed only."""
        if not count or not (self.state is State.CLOSED or (self.state is State.HALF_OPEN and probe)):
            return
        self._window.add(count, 0, now)
        self._row, self._succeeded_at = 0, now
        if self.state is State.HALF_OPEN:
            self._good += count
            self._most = min(MOST_PROBES, self._most * 2 ** min(count, 8))
            calls, bad = self._window.counts(now)
            if self._good >= self._probes and bad < self._share * calls:
                self._close(now)

    def failed(self, error: BaseException, now: float, *, probe: bool, before: float = math.inf) -> bool:
        """A call failed; whether that says nothing of its message, which should be run again as if it had not been tried.
        `before`: when this message failed the last time; infinite: it did not.

        A message that fails again while others have succeeded is to blame itself: its failure counts for nothing but itself.
        When many fail one after the other, that is in doubt.
        """
        if not (self.state is State.CLOSED or (self.state is State.HALF_OPEN and probe)):
            return True
        self._row += 1
        if self.state is State.HALF_OPEN and (self._trickle or self._row >= self._most):
            self._open(error, now)
            log.warning(
                "Circuit breaker of %s is open again: calls that tried it failed (%s)",
                self.name, _described(error),
                extra=about(Event.BREAKER_OPENED, breaker=self.name, error_type=self._opened_by),
            )  # fmt: skip
            return not self._trickle
        most = self._in_a_row if self.state is State.CLOSED else self._most
        if before < self._succeeded_at and 2 * self._row <= most:
            return False
        self._window.add(0, 1, now)
        if self.state is State.CLOSED and self._has_enough(now, first=before == math.inf):
            self._open(error, now)
            self._complain(error)
        return self.state is not State.CLOSED

    def _has_enough(self, now: float, *, first: bool) -> bool:
        in_a_row = min(self._row, self._window.counts(now)[1])  # those of long ago do not count
        return (first and in_a_row >= self._in_a_row) or self._window.reached(self._share, now)

    def why(self) -> Optional[str]:
        """Why it holds calls up, in words; None when it does not."""
        return None if self.state is State.CLOSED else f"the circuit breaker of {self.name} is {self.state.value}"

    def report(self, now: float) -> BreakerReport:
        """What the snapshot says of it."""
        calls, bad = self._window.counts(now) if self.state is State.CLOSED else self._verdict
        elapsed = max(0.0, now - self.since)
        return BreakerReport(
            name=self.name,
            state=self.state.value,
            failed_share=bad / calls if calls else 0.0,
            calls=calls,
            opened_times=self.opened_times,
            seconds_in_state=elapsed if self.opened_times else -1.0,
            probe_in=max(0.0, self._wait - elapsed) if self.state is State.OPEN else -1.0,
            last_error="" if self.state is State.CLOSED else self._opened_by,
            seconds_unwell=0.0 if self.state is State.CLOSED else max(0.0, now - self._closed_until),
        )

    def _open(self, error: BaseException, now: float) -> None:
        self._opened_by = class_of(error)
        self._wait, self._most = self._open_seconds, self._probes
        if self.state is State.CLOSED:
            self._closed_until = now
            calls, bad = self._verdict = self._window.counts(now)
            if bad < calls and not self._trickle:  # perhaps it is some messages that are bad: a few calls tell at once
                self._wait, self._most = 0.0, int(max(self._probes, min(self._in_a_row, MOST_PROBES)))
        self.opened_times += 1
        self._forget(NEVER)
        self._move(State.OPEN, now)

    def _forget(self, succeeded_at: float) -> None:
        self._window.clear()
        self._good, self._row, self._succeeded_at = 0, 0, succeeded_at

    def _complain(self, error: BaseException) -> None:
        calls, bad = self._verdict
        log.warning(
            "Circuit breaker of %s opened: %d of %d calls failed (share %.2f); next try in %.1f s; the last: %s",
            self.name, bad, calls, bad / calls, self._wait, _described(error),
            extra=about(Event.BREAKER_OPENED, breaker=self.name, error_type=self._opened_by),
        )  # fmt: skip

    def _close(self, now: float) -> None:
        self._forget(now)  # what failed in the outage, and fails again, is to blame itself
        self._move(State.CLOSED, now)
        log.info(
            "Circuit breaker of %s is closed: calls succeed again",
            self.name, extra=about(Event.BREAKER_CLOSED, breaker=self.name),
        )  # fmt: skip

    def _move(self, state: State, now: float) -> None:
        self._state.move(state)
        self.since = now


def _described(error: BaseException) -> str:
    return f"{class_of(error)}: {text_of(error)[:LONGEST_TEXT]}"
