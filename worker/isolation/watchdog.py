"""Over one running task of a task process: when to ask whether the process lives, and when to kill it. Pure."""

from __future__ import annotations

from typing import Optional

from kafka_worker.shared.system.awake import AwakeClock

PING_SECONDS = 0.5


class Watchdog:
    """Ages are measured in awake seconds (see `awake`): whoever was asleep himself kills nobody when he wakes. A task's age
    does not grow while its process is stopped either; that one's silence does."""

    def __init__(self, kill_after: Optional[float], silence: float, now: float) -> None:
        """The task begins at `now` (monotonic seconds); it may take `kill_after` seconds, and its process may be silent for
        `silence`."""
        self._awake = AwakeClock(now)
        self._kill_after = kill_after
        self._silence = silence
        self._heard_at = 0.0
        self._stopped = 0.0
        self._ping_at = PING_SECONDS

    def check(self, now: float, *, heard: bool, stopped: bool = False) -> bool:
        """Note whether the process was heard, and whether it is stopped; whether to ask it now."""
        before, age = self._awake.seconds, self._awake.tick(now)
        if stopped:
            self._stopped += age - before
        if heard:
            self._heard_at = age
        due = age >= self._ping_at
        if due:
            self._ping_at = age + PING_SECONDS
        return due

    @property
    def reason(self) -> Optional[str]:
        """Why the process must be killed, or None."""
        age = self._awake.seconds
        if self._kill_after is not None and age - self._stopped >= self._kill_after:
            return f"killed after {age - self._stopped:.1f} s"
        if age - self._heard_at > self._silence:
            return f"silent for {age - self._heard_at:.1f} s"
        return None
