"""How a process ends in order: it is drained, what is done is committed, the seat is left or kept. The consumer thread keeps
turning meanwhile, and all of it keeps a deadline (see `stopping`) that may come nearer on the way.
"""

from __future__ import annotations

from typing import Callable, List

from kafka_worker.draining.settling import Settling
from kafka_worker.draining.stopping import Stopping
from kafka_worker.kafka.consumer import GroupConsumer
from kafka_worker.partitions.assignment import Assignment
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.system.deadline import Deadline

log = logs.logger(__name__)

LAST_COMMIT_SECONDS = 0.5  # even a hurried end gives the last commit this long
GROUP_SECONDS = 15.0  # for a coordinator that hears us: if one dies, brokers take up to so long to have another
LOOK_SECONDS = 1.0  # for its answer, which takes as long as the link is: whoever waits less is never heard by one far away
HURRIED_LOOK_SECONDS = 0.1  # the same, when no time is left
CLOSE_SECONDS = 1.0  # for leaving the group; closing the client may take as long again before the main thread ends it

# Fenced: committing or waiting would work against the member that has our id. A fault of ours: trust nothing.
BROKEN = (ExitCode.FENCED, ExitCode.FAULT)


class Ending:
    """The three steps, in this order: `drain`, `finish_commits`, `leave`."""

    def __init__(
        self,
        consumer: GroupConsumer,
        assignment: Assignment,
        stopping: Stopping,
        cut_off: List[str],
        turn: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        """`turn` does the duties once; `cut_off` takes what could not be finished in time."""
        self._consumer = consumer
        self._assignment = assignment
        self._stopping = stopping
        self._cut_off = cut_off
        self._turn = turn
        self._clock = clock

    def drain(self, settling: Settling) -> None:
        """Start nothing, finish what runs. Messages that still come are taken and not started: dropping them would let the
        position pass them."""
        self._consumer.pause([p.name for p in self._assignment])
        while not (settling.settled(self._assignment, self._stopping.until()) or self._consumer.ending in BROKEN):
            self._turn()
        if self._consumer.ending in BROKEN:
            return
        tasks = settling.described(self._assignment)
        for task in tasks:
            log.error("%s: cut off by the drain deadline, it runs again", task, extra=about(Event.TASK_CUT_OFF))
        self._cut_off += tasks

    def finish_commits(self, committed: Callable[[], bool]) -> None:
        """Wait until `committed` says that all is acknowledged. Even a hurried end tries once, for a moment."""
        moment = self._clock() + LAST_COMMIT_SECONDS
        while not (self._consumer.ending in BROKEN or committed()):
            if self._consumer.ending is not None or self._clock() >= max(moment, self._stopping.until()):
                self._cut_off.append("the last commit")
                log.error(
                    "The last commit was not acknowledged in time: what it held runs again", extra=about(Event.COMMIT_FAILED)
                )
                return
            self._turn()

    def leave(self, *, owed: bool) -> bool:
        """Nothing is owed to messages any more: what follows is politeness. `owed`: we owe the group a rebalance, so the seat
        can't be kept for a successor. Returns whether the seat was given up."""
        moment = self._clock() + GROUP_SECONDS
        while self._leaves(owed=owed) and not self._is_heard() and self._waits_for_the_group(moment):
            self._turn()
        stop = self._stopping.wish
        if stop is not None:
            stop.deadline.hurry(CLOSE_SECONDS)
        leaves = self._leaves(owed=owed)  # looked at only now: the wish may have changed
        has_left = leaves and self._consumer.leave(Deadline(CLOSE_SECONDS, self._clock))
        self._consumer.close()
        return has_left

    def _leaves(self, *, owed: bool) -> bool:
        stop = self._stopping.wish
        return self._consumer.ending not in BROKEN and (owed or (stop is not None and stop.leave))

    def _is_heard(self) -> bool:
        rest = self._stopping.until() - self._clock()
        return self._consumer.is_heard(max(HURRIED_LOOK_SECONDS, min(LOOK_SECONDS, rest)))

    def _waits_for_the_group(self, moment: float) -> bool:
        """As long as any broker answers, the coordinator comes back, or another takes over. (The partitions of a seat that is
        not given up stand still for a session.)"""
        over = self._clock() >= min(moment, self._stopping.until()) or self._consumer.ending is not None
        return self._consumer.joined and not (over or self._consumer.away)
