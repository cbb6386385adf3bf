"""What the process says of itself twice a second, and when it ends. Main thread only."""

from __future__ import annotations

import time
from typing import Dict

from kafka_worker.handler.lives import HOOK_WAITS
from kafka_worker.kafka.consumer import LIBRARY
from kafka_worker.loop import ConsumerLoop
from kafka_worker.pools.runner import Runner
from kafka_worker.recovery.quarantine import Quarantine
from kafka_worker.recovery.seat import Seat
from kafka_worker.report import Rate, Use, child_report
from kafka_worker.shared import logs
from kafka_worker.shared.ipc.snapshot import as_json
from kafka_worker.shared.ipc.stage import NOT_JOINED, StageHolder
from kafka_worker.shared.system.awake import AwakeClock
from kafka_worker.upkeep.time_limits import is_late
from kafka_worker.upkeep.upkeep import Upkeep


class Heartbeat:
    """That of one process."""

    def __init__(
        self, stage: StageHolder, loop: ConsumerLoop, pool: Runner, quarantine: Quarantine, upkeep: Upkeep, seat: Seat
    ) -> None:
        """Nothing has been told yet."""
        self._stage = stage
        self._loop = loop
        self._pool = pool
        self._quarantine = quarantine
        self._upkeep = upkeep
        self._seat = seat
        self.hung = False  # a call
        now = time.monotonic()
        self._awake = AwakeClock(now)
        self._rate, self._use = Rate(now), Use(now)
        self._turn = (0.0, 0.0)  # the consumer thread's last turn that we saw, and when, in our awake seconds

    def message(self) -> Dict[str, object]:
        """What there is to say at this moment."""
        threads = [*self._pool.threads, *self._quarantine.threads]
        running = self._loop.shown()
        report = child_report(self._stage.now, self._loop.report, threads, running, self.poll_age(), self._rate)
        fields = self._upkeep.fields()
        fields["renew"], fields["seat_holder"] = fields["renew"] or self._seat.lost, self._seat.holder
        busy = len({thread.name for thread, _ in running if not thread.apart})
        fields.update(self._use.update(busy, self._pool.capacity, time.monotonic()), hung=self.hung, librdkafka=LIBRARY)
        fields["resting"] = len(self._pool.threads) - self._pool.limit
        fields["trouble"] = report.trouble or HOOK_WAITS.trouble or self._seat.trouble or self._all_late()
        if report.stage in NOT_JOINED:  # whoever begins from now on goes by them from the start
            fields["orders_known"] = self._loop.orders_told
        return {"report": as_json(report._replace(**fields)), "events": logs.take_events()}

    def _all_late(self) -> str:
        """That no call can begin because of others that were told to end; empty: some can, as far as is known."""
        late = {thread.name for thread, task in self._loop.running() if not thread.apart and is_late(task)}
        if not late or len(late) < self._pool.capacity:
            return ""
        return f"nothing more begins: as many calls as may run ({len(late)}) are longer than HANDLER_TIMEOUT_SECONDS (explain)"

    def poll_age(self) -> float:
        """Since when the poll loop has not turned. In awake seconds: after a pause of the whole process both have only just
        woken. Who waits for the seat has no poll loop yet, and is not to be blamed for that wait when it takes over. To be
        asked in each turn of the main thread: that is how it knows."""
        awake = self._awake.tick(time.monotonic())
        if self._loop.turned_at != self._turn[0] or self._stage.now in NOT_JOINED:
            self._turn = (self._loop.turned_at, awake)
        return awake - self._turn[1]
