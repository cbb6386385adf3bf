"""A rolling restart: one slot at a time, the successor imported and waiting for the seat before the old child closes, so
that a partition stands still only for as long as joining takes. Nobody else in the group notices: each slot keeps its seat.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Callable, Deque, Dict, List, Optional, Tuple

from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.ipc.health import Kind, ago
from kafka_worker.shared.ipc.snapshot import Condition, Replaced, Stage
from kafka_worker.supervision.children.child import Child, ChildState
from kafka_worker.supervision.slots.slot import Slot

log = logs.logger(__name__)

RECYCLING = "Recycling"
GIVEN_UP = "given up"

Spawn = Callable[[int, float, float], Child]  # by number of slot, monotonic seconds, awake seconds


class RollingRestart:
    """The supervisor calls `step` in each turn of its loop, until it says that it is over."""

    def __init__(self, spawn: Spawn, patience: float) -> None:
        """`patience`: seconds an old child has to end, once asked."""
        self._spawn = spawn
        self._patience = patience
        self._to_do: Deque[int] = deque()
        self._old: Optional[Child] = None  # the child of the first slot in `_to_do` that is being replaced
        self.outcome = "done"
        self.name = ""
        self._given_up: Dict[str, Tuple[str, float]] = {}  # by name, each since when it was done last: why, and when

    def begin(self, slots: List[int], name: str = "Rolling restart") -> None:
        """Restart the children of these slots; `name` says what for. Called again on the way, it goes through all of them once
        more: also through that of the slot it is at, whose successor may have imported what is old by now."""
        current = [self._to_do[0]] if self._old is not None else []
        self._to_do = deque(current + slots)
        self.outcome, self.name = "done", name

    @property
    def reason(self) -> Replaced:
        """Why processes are replaced by it."""
        return Replaced.RECYCLED if self.name == RECYCLING else Replaced.ROLLED

    def step(self, slots: Dict[int, Slot], now: float, awake: float) -> bool:
        """Do what can be done now; whether the restart is over."""
        if not self._to_do:
            if self.outcome != GIVEN_UP:
                rolled = self.name != RECYCLING
                self._given_up = {name: told for name, told in self._given_up.items() if not rolled and name != RECYCLING}
            return True
        slot = slots.get(self._to_do[0])
        if slot is None or slot.retiring or (self._old is None and slot.child is None):
            self._next()  # it is gone, or will be filled by a fresh process anyway
        elif self._old is None:
            self._start_successor(slot, now, awake)
        elif slot.child is not self._old:
            if slot.steady:
                self._next()
        elif slot.successor and slot.successor.stage is Stage.WAITING and self._old.state is ChildState.RUNNING:
            self._old.stop(leave=False, kill_at=awake + self._patience)
        return False

    def successor_failed(self, number: int, child: Child) -> None:
        """The new process can't even start: keep the old ones, which work."""
        self._give_up(f"slot {number}: the next process {child.pid} ended before its turn: {child.how}")

    def conditions(self) -> List[Condition]:
        """That none can be done: the code of before works on, until one of its processes ends."""
        return [
            Condition(
                Kind.ROLL.value, None,
                f"{name} given up {ago(time.monotonic() - at)}: {why}; the running processes stay, but one that ends now may "
                "not start again",
            )
            for name, (why, at) in self._given_up.items()
        ]  # fmt: skip

    def _start_successor(self, slot: Slot, now: float, awake: float) -> None:
        try:
            slot.successor = self._spawn(slot.number, now, awake)
            self._old = slot.child
        except OSError as problem:
            self._give_up(f"slot {slot.number}: the next process could not be started: {problem}")

    def _give_up(self, reason: str) -> None:
        log.error("%s; the running processes stay", reason, extra=about(Event.ROLL_GIVEN_UP, reason=reason))
        self.outcome = GIVEN_UP
        self._given_up[self.name] = reason, time.monotonic()
        self._to_do.clear()
        self._old = None

    def _next(self) -> None:
        self._to_do.popleft()
        self._old = None
