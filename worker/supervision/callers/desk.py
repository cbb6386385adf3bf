"""What the supervisor says to whoever asks at its control socket."""

from __future__ import annotations

import os
import selectors
import sys
import time
from typing import Callable, List, Mapping

from kafka_worker import __version__
from kafka_worker.shared import logs, routes
from kafka_worker.shared.ipc import control, health
from kafka_worker.shared.ipc.recent import Recent
from kafka_worker.shared.ipc.snapshot import VERSION, Condition, Snapshot, as_json
from kafka_worker.shared.ipc.sums import each_partition_once, reporting, totals, utilization
from kafka_worker.shared.ipc.work import WorkOfAll
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import runtime_files
from kafka_worker.shared.system.awake import AwakeClock
from kafka_worker.supervision.callers.http_process import HttpProcess
from kafka_worker.supervision.callers.order_requests import OrderRequests
from kafka_worker.supervision.callers.orders_file import OrdersFile
from kafka_worker.supervision.callers.questions import Questions
from kafka_worker.supervision.callers.standing_orders import StandingOrders
from kafka_worker.supervision.premises import Premises
from kafka_worker.supervision.slots.slot import Slot


class Desk:
    """The supervisor's: it makes the snapshot of what it is shown here, and has the control socket."""

    def __init__(
        self,
        settings: Settings,
        selector: selectors.BaseSelector,
        state: Callable[[], str],
        awake: AwakeClock,
        slots: Mapping[int, Slot],
        http: HttpProcess,
        work: WorkOfAll,
        premises: Premises,
        others: Callable[[], List[Condition]],
    ) -> None:
        """Open the control socket. The caller holds the lock of the premises. Raises OSError. `state`: the supervisor's;
        `slots`: by their numbers, as they are at any time; `others`: what else is not well."""
        self._settings = settings
        self._state = state
        self._awake = awake
        self._slots = slots
        self._http = http
        self._work = work
        self._premises = premises
        self._others = others
        self._since = time.monotonic()
        self.recent = Recent(time.time())
        self.standing = StandingOrders(OrdersFile(settings), slots)
        questions, requests = Questions(slots), OrderRequests(settings, self.standing, slots)
        self.control = control.ControlServer(
            runtime_files.control_socket(settings),
            selector,
            {"status": lambda: as_json(self.snapshot())},
            {
                "inquire": questions.inquire,
                "events": self.recent.asked,
                "pause": requests.pause,
                "resume": requests.resume,
                "park": requests.park,
            },
        )
        premises.guard(self.control)

    def serve(self) -> None:
        """Once in a turn of the supervisor's loop: answer who asks."""
        self.recent.hear(logs.take_events())
        self.standing.turn()
        self.control.serve()
        self.standing.tell()  # what was ordered just now

    def snapshot(self) -> Snapshot:
        """The service as it is now."""
        settings, state, now, lost, work = self._settings, self._state(), time.monotonic(), logs.lost(), self._work.counts()
        slots = each_partition_once([self._slots[number].report(now, self._awake.seconds) for number in sorted(self._slots)])
        conditions = [
            *health.conditions(state, slots, lost.untold), *self._http.conditions(), *self.standing.conditions(),
            *self._premises.conditions(), *self._others(),
        ]  # fmt: skip
        return Snapshot(
            version=VERSION,
            state=state,
            host=settings.host,
            pid=os.getpid(),
            uptime=now - self._since,
            group=settings.group_id,
            topics=list(settings.topics),
            handler=routes.described(settings),
            ordering=settings.ordering,
            membership=settings.membership,
            processes=len(slots),
            threads=settings.threads,
            threads_max=settings.threads_max,
            most_per_second=settings.max_messages_per_second,
            most_of_a_process=settings.max_messages_per_second / settings.processes,
            restarts=sum(slot.restarts for slot in slots),
            problems=[condition.text for condition in conditions],
            slots=slots,
            conditions=conditions,
            log_dropped=lost.dropped,
            http=self._http.report(),
            utilization=utilization(slots),
            age=max([slot.heartbeat_age for slot in slots if slot.pid and slot.child], default=0.0),
            work=work,
            topic_settings=settings.topic_differences(),
            release=__version__,
            python=sys.version.split()[0],
            librdkafka=next((child.librdkafka for child in reporting(slots)), ""),
            totals=totals(slots, work),
            newest_event=self.recent.newest,
            orders=self.standing.reports(),
        )
