"""Which process is recycled next: one at a time, the oldest of those that wish for it. How is `rolling_restart`'s business."""

from __future__ import annotations

from typing import Dict, Optional

from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.supervision.slots.slot import Slot

log = logs.logger(__name__)

PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 60.0, 3600.0  # after a recycling that failed; doubles with each


class RecyclingSchedule:
    """The supervisor asks when no rolling restart is under way."""

    def __init__(self) -> None:
        """No recycling has failed yet."""
        self._pause = PAUSE_SECONDS
        self._not_before = 0.0

    def due(self, slots: Dict[int, Slot], now: float) -> Optional[int]:
        """The slot whose process should be recycled now, if there is one."""
        wishing = [] if now < self._not_before else [slot for slot in slots.values() if slot.wishes_recycling]
        if not wishing:
            return None
        slot = min(wishing, key=lambda each: each.child.started_at if each.child else now)
        log.info(
            "slot %d: recycling process %d (%s)",
            slot.number, slot.child.pid if slot.child else 0, slot.wishes_recycling,
            extra=about(Event.PROCESS_RECYCLED, slot=slot.number, reason=slot.wishes_recycling),
        )  # fmt: skip
        slot.recycled_for = slot.wishes_recycling
        return slot.number

    def ended(self, outcome: str, now: float) -> None:
        """How a rolling restart went. When processes can't be replaced, trying again at once would help nobody."""
        if outcome == "done":
            self._pause = PAUSE_SECONDS
            return
        self._not_before = now + self._pause
        self._pause = min(LONGEST_PAUSE_SECONDS, 2 * self._pause)
