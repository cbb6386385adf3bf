"""One slot: a numbered place in the group that is kept filled. Its number outlives its children, and names the member, so a
partition goes back to the slot it was in."""

from __future__ import annotations

import logging
from typing import Optional

from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.ipc.snapshot import SlotReport, Stage
from kafka_worker.supervision.children.child import Child, ChildState
from kafka_worker.supervision.slots.growth import Growth
from kafka_worker.supervision.slots.restart_policy import HEALTHY_SECONDS, SlotRecord

log = logs.logger(__name__)

ABORT_SECONDS = 2.0  # for a hung child to print its stacks


class Slot:
    """Its child, and the successor that waits for that one's seat during a rolling restart."""

    def __init__(self, number: int, now: float) -> None:
        """The slot is empty, and due to be filled now."""
        self.number = number
        self.record = SlotRecord()
        self.child: Optional[Child] = None
        self.successor: Optional[Child] = None
        self.start_at: Optional[float] = now  # monotonic seconds; None: no start is due
        self.retiring = False  # goes away with its child
        self.last_exit: Optional[str] = None
        self.last_why = ""  # as its process has left word
        self.recycled_for = ""
        self.growth = Growth()

    def reap(self) -> Optional[Child]:
        """The child, if it has ended; a successor that is there takes its place."""
        child = self.child
        if child is None or not child.reap():
            return None
        self.record.joined = self.has_joined
        self.child, self.successor = self.successor, None
        return child

    def reap_successor(self) -> Optional[Child]:
        """The successor, if it ended before its turn came."""
        successor = self.successor
        if successor is None or not successor.reap():
            return None
        self.successor = None
        return successor

    @property
    def empty(self) -> bool:
        """Whether no process is left."""
        return self.child is None and self.successor is None

    @property
    def filled(self) -> bool:
        """Whether the child has imported the handler, and works or waits for the seat."""
        return self.child is not None and self.child.state is ChildState.RUNNING

    @property
    def has_joined(self) -> bool:
        """Whether one of its processes is, or has been, in the group."""
        return self.record.joined or (self.child is not None and self.child.joined)

    @property
    def steady(self) -> bool:
        """Whether the child works, and nobody waits for its seat."""
        return self.successor is None and self.filled and self.child is not None and self.child.stage is Stage.CONSUMING

    @property
    def wishes_recycling(self) -> str:
        """Why its process asks to be recycled, if that can be done now; else empty."""
        child = self.child
        return child.report.renew if child and child.report and self.steady and not self.retiring else ""

    def report(self, now: float, awake: float) -> SlotReport:
        """What the snapshot says of it."""
        child = self.child
        uptime = now - child.started_at if child else 0.0
        return SlotReport(
            slot=self.number,
            state=child.state.value if child else ChildState.EXITED.value if self.start_at is None else "backoff",
            pid=child.pid if child else 0,
            uptime=uptime,
            heartbeat_age=child.heartbeat_age(awake) if child else -1.0,
            restarts=self.record.restarts,
            last_exit=self.last_exit,
            restart_in=max(0.0, self.start_at - now) if self.start_at is not None else -1.0,
            successor_pid=self.successor.pid if self.successor else 0,
            child=child.report if child else None,
            restart_reasons={reason.value: count for reason, count in self.record.reasons.items()},
            failures=self.record.failures if uptime < HEALTHY_SECONDS else 0,
            recycled_for=self.recycled_for,
            last_why=self.last_why,
            outgrown_within=self.growth.within,
            at=child.at if child else "",
            retiring=self.retiring,
        )

    def stop(self, *, leave: bool, kill_at: float, seconds: Optional[float] = None) -> None:
        """Ask its processes to end, and start no more of them."""
        self.start_at = None
        for child in filter(None, (self.child, self.successor)):
            child.stop(leave=leave, kill_at=kill_at, seconds=seconds)

    def abort_if_hung(self, child: Child, awake: float, timeout: float) -> None:
        """Abort one of its processes, if that hangs."""
        reason = child.hangs(awake, timeout)
        if reason is not None:
            log.error(
                "slot %d: process %d hangs (%s): SIGABRT, its stacks follow",
                self.number, child.pid, reason, extra=about(Event.PROCESS_HUNG, slot=self.number, reason=reason),
            )  # fmt: skip
            child.abort(awake + ABORT_SECONDS)

    def kill_if_overdue(self, child: Child, awake: float) -> None:
        """Kill one of its processes, if that should have ended by now."""
        if child.kill_at is not None and awake >= child.kill_at:
            log.error(
                "slot %d: process %d did not end in time: SIGKILL",
                self.number, child.pid, extra=about(Event.PROCESS_KILLED, slot=self.number),
            )  # fmt: skip
            self._say_what_is_cut_off(child)
            child.kill()

    def tell_end(self, child: Child, then: str = "", level: int = logging.INFO) -> None:
        """Log that one of its processes has ended; `then`: what follows."""
        log.log(
            level, "slot %d: process %d ended: %s%s",
            self.number, child.pid, child.how, then, extra=about(Event.PROCESS_ENDED, slot=self.number, reason=child.how),
        )  # fmt: skip

    def _say_what_is_cut_off(self, child: Child) -> None:
        """Name the tasks that run in it, as of its last heartbeat."""
        for task in child.report.tasks if child.report else ():
            log.error(
                "slot %d: cut off: %s[%d] offset %d, running for %.1f s at its last heartbeat; it runs again",
                self.number, task.topic, task.partition, task.offset, task.seconds,
                extra=about(
                    Event.TASK_CUT_OFF, slot=self.number, topic=task.topic, partition=task.partition, offset=task.offset
                ),
            )  # fmt: skip
