"""Messages that an operator has parked: each becomes a dead letter, wherever it is, and its offset counts as done when that is
stored. What waits is taken out of where it waits; what is not delivered yet is kept by name, and never starts; what runs is
told that it is cancelled, and nothing that comes of it counts. Consumer thread only.

A call can't be ended from outside, so it may go on for as long as it likes, in vain: its thread writes nothing into the
journal and leaves its lane alone. To that end each of two threads says its word before it looks for the other's: the handler
thread that its call is over (`HandlerThread.ended`), we that it is void (`Partition.void`). Where both words are said, the
thread has the last one: we wait for what it makes of its task, and go by that.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import Callable, Dict, FrozenSet, Iterable, Iterator, List, Optional, Tuple

from kafka_worker.outcomes.decisions import PARKED
from kafka_worker.partitions.assignment import Assignment, Partition
from kafka_worker.partitions.task import Task, attempt_of, facts_of, in_words, message_of, offset_of, partition_of
from kafka_worker.partitions.tracker import RUNNING
from kafka_worker.parts import Parts
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.shared import logs
from kafka_worker.shared.configuration.words.place import Place
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.foreign.errors import PlainError
from kafka_worker.shared.ipc.orders import Order
from kafka_worker.shared.ipc.snapshot import ParkedReport
from kafka_worker.shared.states import StateMachine

log = logs.logger(__name__)

LOOK_SECONDS = 0.1  # between two looks for one that is nowhere: it may be on its way from one place to another
TOLD_SECONDS = 5.0  # that the outcome of one is told whose order has ended: longer than who ended it waits for a word of it


class ParkedError(PlainError):
    """Stands in the letter: nothing has failed, an operator has parked the message."""


class State(str, Enum):
    """How far the parking of a message has come in this process."""

    NAMED = "named"  # not delivered yet, or not found yet
    SENT = "sent"  # its letter is on its way
    PARKED = PARKED  # and stored
    DONE = "done"  # it had another outcome before


TRANSITIONS: Dict[State, FrozenSet[State]] = {
    State.NAMED: frozenset({State.SENT, State.DONE}),
    State.SENT: frozenset({State.PARKED}),
    State.PARKED: frozenset(),
    State.DONE: frozenset(),
}


class _Parked:
    """One message to be parked, under one assignment of its partition."""

    def __init__(self, order: Order, partition: Partition) -> None:
        self.order = order
        self.until = math.inf  # it is told, in monotonic seconds, as its order is in force no more
        self.partition = partition
        self.offset = int(order.place.offset or 0)
        self.state = StateMachine(f"{order.place}, to be parked,", TRANSITIONS)
        self.over: Optional[Task] = None  # its call was over when it was made void: what comes of it is seen soon
        self.look_at = -math.inf  # monotonic seconds
        partition.named.add(self.offset)

    @property
    def begun(self) -> bool:
        """Whether there is no way back: its letter is on its way, or stored, or what its call made of it may be void."""
        return self.state.now in {State.SENT, State.PARKED} or self.over is not None

    @property
    def finished(self) -> bool:
        """Whether nothing more is to be done."""
        return self.state.now in {State.PARKED, State.DONE}

    @property
    def outcome(self) -> str:
        """What is told of it."""
        return (self.state.now if self.finished else State.SENT).value

    @property
    def is_done(self) -> bool:
        """Whether its offset has an outcome."""
        tracker = self.partition.tracker
        if self.offset < max(tracker.watermark(), self.partition.stored.committed):
            return True
        return self.offset < tracker.next_offset and tracker.is_done(self.offset)


class Parking:
    """Those of one process."""

    def __init__(self, parts: Parts, clock: Callable[[], float]) -> None:
        """Nothing is to be parked."""
        self._pool = parts.pool
        self._decisions = parts.decisions
        self._ongoing = parts.ongoing
        self._all_running = parts.settling.all_running
        self._clock = clock
        self._parked: Dict[Place, _Parked] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._parked)

    def turn(self, orders: Iterable[Order], assignment: Assignment) -> None:
        """Once in a turn: go by these orders, as far as their partitions are ours."""
        now = self._clock()
        known, self._parked = self._parked, {}
        for order in orders:
            topic, number, _ = order.place
            partition = assignment.get(topic, number or 0)
            if partition is None or partition.flow.not_begun:
                continue
            before = known.get(order.place)
            ours = before is not None and before.partition is partition
            self._parked[order.place] = parked = before if before and ours else _Parked(order, partition)
            parked.order, parked.until = order, math.inf  # the newest: its words are the audit
        for place in known.keys() - self._parked.keys():
            parked = known[place]
            # What was taken back too late is told with the orders that have it no more, and goes on until it has its outcome.
            parked.until = min(parked.until, now + TOLD_SECONDS)
            told = parked.finished and now >= parked.until
            if parked.begun and not told and assignment.get(place.topic, place.partition or 0) is parked.partition:
                self._parked[place] = parked
            else:
                parked.partition.named.discard(parked.offset)
        for parked in self._parked.values():
            self._step(parked, now)

    def reports(self) -> List[ParkedReport]:
        """Those that have begun, or have their outcome."""
        told = [parked for parked in self._parked.values() if parked.begun or parked.finished]
        return [ParkedReport(p.partition.topic, p.partition.number, p.offset, p.outcome) for p in told]

    def take(self, tasks: Iterable[Task]) -> None:
        """These have names of those, and were delivered just now, so that nobody else has them."""
        for task in tasks:
            partition = partition_of(task)
            self._send(self._parked[Place(*partition.name, offset_of(task))], task, began=False)

    # ---- one of them ----------------------------------------------------------------------------------------------

    def _step(self, parked: _Parked, now: float) -> None:
        if parked.finished:
            return
        if parked.is_done:
            parked.state.move(State.PARKED if parked.state.now is State.SENT else State.DONE)
            return
        partition = parked.partition
        waits = parked.state.now is State.SENT or parked.offset >= partition.tracker.next_offset
        if waits or now < parked.look_at or (partition.closing.closed and parked.over is None):
            return
        parked.look_at = now + LOOK_SECONDS
        task = self._taken_out(partition, parked.offset)
        if task is not None:
            self._send(parked, task, began=False)
            return
        task = self._ongoing.take_out(partition, parked.offset)
        if task is not None:
            self._send(parked, task, began=True)
            return
        running = next(self._running(parked), None)
        if running is not None:
            if self._made_void(parked, *running):
                self._send(parked, running[1], began=True)
        elif parked.over is not None and not self._undecided(partition):
            self._send(parked, parked.over, began=True)

    def _taken_out(self, partition: Partition, offset: int) -> Optional[Task]:
        """The task of this offset, out of wherever it waits."""
        task: Optional[Task] = partition.queue.take_out(offset)
        self._pool.wake(len(partition.queue))
        return task or self._out_of_lane(partition, offset) or self._decisions.take_out(partition, offset)

    def _out_of_lane(self, partition: Partition, offset: int) -> Optional[Task]:
        """Behind others of its key: who waits for it waits for those from now on."""
        task, free = partition.lanes.take_out(offset)
        if free is not None:
            partition.queue.put(free)
            self._pool.wake(1)
        return task  # type: ignore[no-any-return]

    def _running(self, parked: _Parked) -> Iterator[Tuple[HandlerThread, Task]]:
        for thread, task in self._all_running():
            if partition_of(task) is parked.partition and offset_of(task) == parked.offset:
                yield thread, task

    def _undecided(self, partition: Partition) -> bool:
        return partition.flow.in_transit > 0 or partition in self._decisions.undecided()

    @staticmethod
    def _made_void(parked: _Parked, thread: HandlerThread, task: Task) -> bool:
        """Whether nothing will come of its call from now on. It is between a queue and its call, in that, or behind it."""
        offset, segment = task[:2]
        if segment.flags[offset + segment.shift] != RUNNING:
            return False  # it will begin in a moment
        parked.partition.void.add(offset)  # first the word, then the look
        if thread.has_ended(task):
            parked.over = task
            return False
        place = message_of(task).partition(), message_of(task).offset()
        parked.partition.parked.add(place)
        parked.partition.overdue[place] = None  # the handler is told that it is cancelled
        return True

    def _send(self, parked: _Parked, task: Task, *, began: bool) -> None:
        """Nobody else does anything more with this task."""
        parked.state.move(State.SENT)
        order = parked.order
        what = "runs, is told that it is cancelled, and goes on in vain" if began else "does not run any more"
        log.warning(
            "%s is parked by %s: %s (attempt %d, which %s)",
            in_words(task), order.by, order.reason, attempt_of(task), what,
            extra=about(Event.PARKED, **facts_of(task), reason=order.reason, user=order.by),
        )  # fmt: skip
        self._decisions.park(task, ParkedError(f"parked by {order.by}: {order.reason}"), attempt_of(task) - (not began))
