"""Which process is recycled next: one at a time, the oldest of those that ask for it. How is `rolling_restart`'s business."""

from __future__ import annotations

from typing import Dict, Optional

from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import memory
from kafka_worker.supervision.slots.growth import OFTEN
from kafka_worker.supervision.slots.slot import Slot

log = logs.logger(__name__)

PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 60.0, 3600.0  # after a recycling that failed; doubles with each
ROOM = 0.95  # of what all processes may have together: beyond it none waits


class RecyclingSchedule:
    """The supervisor asks when no rolling restart is under way."""

    def __init__(self, settings: Optional[Settings] = None) -> None:
        """No recycling has failed yet. Without settings there is no limit of memory."""
        shares = memory.shares(settings) if settings is not None else None
        self._share = shares.soft if shares else 0
        self._room = ROOM * shares.process * settings.processes if settings and shares else 0.0
        self._pause = PAUSE_SECONDS
        self._not_before = 0.0

    def due(self, slots: Dict[int, Slot], now: float) -> Optional[int]:
        """The slot whose process should be recycled now, if there is one."""
        self._weigh(slots, now)
        if now < self._not_before:
            return None
        wishing = [slot for slot in slots.values() if slot.wishes_recycling and not self._waits(slot, slots, now)]
        if not wishing:
            return None
        slot = min(wishing, key=lambda each: each.child.started_at if each.child else now)
        log.info(
            "slot %d: recycling process %d (%s)",
            slot.number, slot.child.pid if slot.child else 0, slot.wishes_recycling,
            extra=about(Event.PROCESS_RECYCLED, slot=slot.number, reason=slot.wishes_recycling),
        )  # fmt: skip
        slot.recycled_for = slot.wishes_recycling
        slot.growth.recycled(now)
        return slot.number

    def _weigh(self, slots: Dict[int, Slot], now: float) -> None:
        for slot in slots.values() if self._share else ():
            child = slot.child
            if child and child.report and slot.growth.weigh(child.report, now - child.started_at, self._share):
                log.warning(
                    "slot %d: %d processes, one after the other, have outgrown their share of MEMORY_LIMIT (%d MB), the last "
                    "within %.0f s: recycled ever more seldom from now on, while all together have room",
                    slot.number, OFTEN, self._share / memory.MEGABYTE, slot.growth.within,
                    extra=about(Event.OVERSIZED, slot=slot.number),
                )  # fmt: skip

    def _waits(self, slot: Slot, slots: Dict[int, Slot], now: float) -> bool:
        """Whether it may wait, although it wishes it for memory: what the others leave free is enough."""
        own = slot.child.report if slot.child else None
        if own is None or own.rss <= self._share or not slot.growth.waits(now):
            return False
        reports = [child.report for each in slots.values() for child in (each.child, each.successor) if child and child.report]
        return sum(report.rss for report in reports) < self._room

    def ended(self, outcome: str, now: float) -> None:
        """How a rolling restart went. When processes can't be replaced, trying again at once would help nobody."""
        if outcome == "done":
            self._pause = PAUSE_SECONDS
            return
        self._not_before = now + self._pause
        self._pause = min(LONGEST_PAUSE_SECONDS, 2 * self._pause)
