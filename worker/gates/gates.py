"""Which tasks may start. Usually all, and then the pool takes from the partitions' own queues. A partition whose handler is
*held* (see `breakers`) is not served at all; one that is *metered* is served through permits, of which the consumer thread
gives out a counted number: for the probes of a circuit breaker, and for the rate limit. Consumer thread only.

The tasks stay where they are, in the queues of their partitions. So retries, followers in a lane and closing need to
know nothing of the gate.
"""

from __future__ import annotations

import logging
from typing import Callable, Dict, Iterable, List, Optional, Sequence, Set

from kafka_worker.gates.breakers import Breakers
from kafka_worker.gates.gate import Access, Gate, PermitQueue, Permits
from kafka_worker.gates.rate_limit import TokenBucket
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.dependencies import Dependencies
from kafka_worker.partitions.queues import Queue
from kafka_worker.partitions.task import Task, attempt_of, facts_of, failed_before, in_words, offset_of, partition_of, spared
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.pools.runner import Runner
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.foreign.errors import class_of
from kafka_worker.shared.ipc.snapshot import BreakerReport
from kafka_worker.shared.logs import Seldom
from kafka_worker.shared.routes import UNROUTED
from kafka_worker.shared.settings import Settings

log = logs.logger(__name__)

_NO_HANDLER = (
    "no entry of HANDLERS is meant for this topic, though the Kafka client takes it to match a pattern there. Name the topic "
    "in HANDLERS, or write the pattern so that it does not match it"
)
COUNT_SECONDS = 0.05  # between two looks at what is done, unless something has failed


class Gates:
    """All gates of one process."""

    def __init__(
        self,
        settings: Settings,
        pool: Runner,
        handler_of: Callable[[str], str],
        clock: Callable[[], float],
        apart: Sequence[HandlerThread] = (),
    ) -> None:
        """`handler_of` gives the handler's name for a topic; `apart`: who runs tasks beside the pool."""
        self._pool = pool
        self._apart = apart
        self._excused = Seldom(log, clock)
        self.dependencies = Dependencies(clock)
        self._breakers = Breakers(settings, self.dependencies, handler_of)
        self._gates: Dict[str, Gate] = {}
        self._done: Dict[str, int] = {}  # topic to what was counted so far
        self._counted_at = clock()
        self.rate = settings.max_messages_per_second / settings.processes  # that may begin a second; 0: any number
        self._bucket = TokenBucket(self.rate, clock()) if self.rate else None
        self._tokens = Permits()

    def queues(self, partitions: Iterable[Partition]) -> List[Queue]:
        """What the pool serves of these partitions."""
        return [queue for queue in map(self._served, partitions) if queue is not None]

    def turn(self, partitions: Iterable[Partition], now: float) -> bool:
        """Once in a turn of the loop, after the failures; whether `queues` has changed."""
        if now - self._counted_at >= COUNT_SECONDS:
            self._count_done(now)
        self._look_at_probes(now)
        changed = [self._turn(handler, gate, partitions) for handler, gate in self._gates.items()]
        if self._bucket is not None:
            more = self._bucket.fill(len(self._tokens), now)
            self._tokens.extend([None] * more)
            self._pool.wake(more)
        return any(changed)

    def _turn(self, handler: str, gate: Gate, partitions: Iterable[Partition]) -> bool:
        """That of one gate; whether it changes. Only of one that is not simply open the partitions are looked at."""
        credit, gate.credit = gate.credit, 0
        if self._breakers.closed_for(handler) and gate.access is Access.FREE and not gate.aside:
            return False
        ours = self._partitions_of(handler, partitions)
        closing = any(partition.closing.closed for partition in ours)
        changed = self._set(handler, gate, closing=closing)
        if gate.access is not Access.FREE:
            self._hold(handler, gate, ours)
        elif gate.aside:
            self._return(gate, ours, credit, closing=closing)
        return changed

    def excuse(self, task: Task, error: BaseException, now: float, *, last: bool) -> bool:
        """A task failed; whether it will be run again as if it had not been tried, because not it is to blame. `last`: it
        becomes a dead letter otherwise."""
        if now != self._counted_at:
            self._count_done(now)
        partition = partition_of(task)
        handler = self._handler(partition)
        gate = self._gate(handler)
        probe = gate.ended(task)
        if not self._breakers.excuse(handler, error, now, before=failed_before(attempt_of(task)), probe=probe, last=last):
            return False
        self._excused.log(  # an outage may last for a night, with some probes every few seconds in each process
            logging.INFO, "%s failed at attempt %d (%s), which does not count: %s",
            in_words(task), attempt_of(task), class_of(error), self.why(partition),
            extra=about(Event.ATTEMPT_EXCUSED, **facts_of(task), error_type=class_of(error)),
        )  # fmt: skip
        gate.aside.append(spared(task, now))
        return True

    def answered(self, tasks: Sequence[Task]) -> None:
        """The call with these has returned, and their outcome waits for others, which may wait for probes to succeed."""
        gate = self._gate(self._handler(partition_of(tasks[0])))
        for task in tasks if gate.access is Access.METERED else ():
            gate.answered(task)

    def set_aside(self, task: Task) -> bool:
        """A task that has failed before may run again; whether it waits here until others have succeeded, as its handler is
        held up: what did not fail yet makes better probes."""
        gate = self._gate(self._handler(partition_of(task)))
        if gate.access is Access.FREE:
            return False
        gate.aside.append(task)
        return True

    def give_back(self, tasks: Iterable[Task]) -> None:
        """These were taken, and will be taken again before anything can be said of them: their permits are free."""
        for task in tasks:
            self._gate(self._handler(partition_of(task))).ended(task)

    def take_out(self, partition: Partition, offset: int) -> Optional[Task]:
        """The task of this offset, if it waits for others to succeed, which it does no more."""
        for gate in self._gates.values():
            for task in gate.aside:
                if partition_of(task) is partition and offset_of(task) == offset:
                    gate.aside.remove(task)
                    return task
        return None

    def why(self, partition: Partition) -> str:
        """What holds the partition up, in words; empty: nothing."""
        handler = self._handler(partition)
        return _NO_HANDLER if self.unrouted(partition) else self._breakers.why(handler)

    def unrouted(self, partition: Partition) -> bool:
        """Whether no handler is meant for it."""
        return self._handler(partition) == UNROUTED

    def reports(self, now: float) -> List[BreakerReport]:
        """What the snapshot says of the circuit breakers."""
        return self._breakers.reports(now)

    def aside(self) -> List[Task]:
        """The tasks that wait for others to succeed."""
        return [task for gate in self._gates.values() for task in gate.aside]

    def waiting(self) -> Set[Partition]:
        """The partitions of tasks that wait for others to succeed."""
        return set(map(partition_of, self.aside()))

    def trying(self, topic: str) -> bool:
        """Whether calls for this topic are let through, to try whether what its handler needs works again: by all of its
        breakers."""
        gate = self._gates.get(self._breakers.handler_of(topic))
        return gate is not None and gate.access is Access.METERED

    @property
    def probing(self) -> bool:
        """Whether probes run, whose outcome is waited for."""
        return any(gate.access is Access.METERED and gate.under_way for gate in self._gates.values())

    def _served(self, partition: Partition) -> Optional[Queue]:
        gate = self._gate(self._handler(partition))
        if gate.access is Access.HELD:
            return None
        queue = partition.queue if self._bucket is None else PermitQueue(partition.queue, self._tokens)
        return queue if gate.access is Access.FREE else PermitQueue(queue, gate.permits, gate.taken)

    def _partitions_of(self, handler: str, partitions: Iterable[Partition]) -> List[Partition]:
        return [partition for partition in partitions if self._handler(partition) == handler]

    def _handler(self, partition: Partition) -> str:
        return self._breakers.handler_of(partition.queue.topic)

    def _gate(self, handler: str) -> Gate:
        if handler not in self._gates:
            self._gates[handler] = Gate()
            self._set(handler, self._gates[handler], closing=False)
        return self._gates[handler]

    def _set(self, handler: str, gate: Gate, *, closing: bool) -> bool:
        """Follow the breakers; whether that changes anything. There are no probes while partitions are brought to rest."""
        before = gate.access
        if handler == UNROUTED:  # what is wrong is in the settings: no message is to pay for it
            gate.access = Access.HELD
        elif self._breakers.closed_for(handler):
            gate.access = Access.FREE
        else:
            gate.access = Access.METERED if self._breakers.wanted(handler) and not closing else Access.HELD
        if gate.access is not before:
            gate.restart()
        return gate.access is not before

    def _look_at_probes(self, now: float) -> None:
        """Probes that are done speak for their handler; for a dependency only if they used it."""
        done = {gate: gate.succeeded() for gate in self._gates.values() if gate.access is Access.METERED}
        wanted = {handler: self._breakers.wanted(handler) for handler in self._gates}
        for handler, gate in self._gates.items():
            self._breakers.succeeded(handler, done.get(gate, 0), now, probe=True)
        self._breakers.turn(now)
        for handler, gate in self._gates.items():
            if done.get(gate):
                gate.succeeded_at = now
                gate.credit += done[gate]
                self._try_again(gate, self._breakers.wanted(handler), wanted[handler])

    def _try_again(self, gate: Gate, wanted: int, before: int) -> None:
        """Others have succeeded: what failed before them is to blame itself, or is done now. A few at a time, because calls
        that fail one after the other cast doubt on what they depend on. One in any case where what was done has decided
        nothing: perhaps none of those that wait uses what is to be tried."""
        self._pool.wake(gate.put_back(max(int(wanted == before), min(gate.outdone, wanted // 4))))

    def _return(self, gate: Gate, partitions: List[Partition], credit: int, *, closing: bool) -> None:
        """As many as have succeeded meanwhile, so that those which fail again do not all fail one after the other."""
        waiting = _waiting(partitions) > 0
        count = credit if waiting and not closing else len(gate.aside)
        self._pool.wake(gate.put_back(count))

    def _hold(self, handler: str, gate: Gate, partitions: List[Partition]) -> None:
        for partition in partitions:
            if partition.closing.closed:  # nothing more of it will be started, so that a stop need not wait for it
                partition.closing.abandon(0)
        if gate.access is Access.METERED:
            self._probe(gate, self._breakers.wanted(handler), _waiting(partitions))

    def _probe(self, gate: Gate, wanted: int, waiting: int) -> None:
        """Messages that did not fail before come first: the others may be to blame themselves. Threads are woken for what is
        new: whoever brings a task finds the permits that lie ready."""
        more = gate.grant(wanted)
        if gate.permits and not waiting:
            more += gate.put_back(len(gate.permits))
        self._pool.wake(more)

    def _count_done(self, now: float) -> None:
        """Tell the breakers what is done since the last look."""
        self._counted_at = now
        done: Dict[str, int] = {}
        for thread in [*self._pool.threads, *self._apart]:
            for topic, count in thread.done_of.copy().items():
                done[topic] = done.get(topic, 0) + count
        for topic, count in done.items():
            more = count - self._done.get(topic, 0)
            if more > 0:
                handler = self._breakers.handler_of(topic)
                self._breakers.succeeded(handler, more, now, probe=False)
                self._gate(handler).credit += more
        self._done = done


def _waiting(partitions: Iterable[Partition]) -> int:
    """Tasks that may be taken. What an operator has paused is not served, and nobody waits for it."""
    return sum(len(partition.queue) for partition in partitions if not partition.flow.suspended)
