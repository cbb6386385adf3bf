"""One process, from its start to its end: the real `kafka_worker.process.ChildProcess` with all that it is made of, on a
simulated clock, with simulated threads, clients, lock and supervisor. Task processes are a call."""

from __future__ import annotations

import json
import math
import os
import socket
from types import SimpleNamespace
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from kafka_worker.handler.loading import Kind
from kafka_worker.partitions.stored import Stored
from kafka_worker.pools.async_pool import AsyncPool
from kafka_worker.recovery.suspects_file import SuspectsFile
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.ipc.channel import Channel
from kafka_worker.shared.ipc.orders import Pauses, of_rows
from kafka_worker.shared.ipc.snapshot import Stage
from tests.simulation.broker import Broker, identity
from tests.simulation.client import Client
from tests.simulation.handlers import Handlers
from tests.simulation.oracle import LATEST_COMMIT_SECONDS, LATEST_TRANSACTION_SECONDS, Id, TopicPartition
from tests.simulation.parts import WEIGHTS, SimulatedChild, end_calls, in_place
from tests.simulation.producers import Letters, Producer, Transactional
from tests.simulation.scheduler import Scheduler


class Slot:
    """What of a process outlives it: the journal, and what we know of it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.noted: Optional[Set[Id]] = None  # what the last process had in its hands when it was killed; None: it was not
        self.called: Set[Id] = set()  # what of it ran
        self.fresh: Dict[Id, float] = {}  # what its processes may remember as done, and since when
        self.stored: Dict[TopicPartition, Stored] = {}  # of a partition: whose names are those of the commits that prove it

    def proves(self, name: TopicPartition, writer: str) -> bool:
        """Whether what it has noted counts when this is the commit that the broker has."""
        return name in self.stored and writer in self.stored[name].names


class Host:
    """What of a machine outlives a process: the slots, and the suspects."""

    def __init__(self, folder: str) -> None:
        self.slots = [Slot(os.path.join(folder, f"slot-{number}.journal")) for number in range(2)]
        self.suspects = SuspectsFile(None)


class Plan(NamedTuple):
    """What will happen to a process."""

    slot: int
    kill_at: int  # at this step; -1: not
    moves: List[float]  # seconds after the start when the group gives or takes
    stops: List[Tuple[float, Dict[str, Any]]]  # what the supervisor says, and when
    world: List[Tuple[float, str]]  # what happens to the topic, and when
    orders: List[List[Any]]  # of operators, that are in force at its start
    kind: Kind  # of the handler
    ends: Dict[str, int]  # of its calls, and how often
    settings: Dict[str, Any]  # but for what is the same in all
    calm: bool  # nothing fails any more
    early: bool = False  # what the supervisor says comes when the client is not ready
    last: bool = False  # it is stopped as soon as everything is done


class Life:
    """One process."""

    def __init__(self, broker: Broker, host: Host, plan: Plan, now: float) -> None:
        self.broker = broker
        self.oracle = broker.oracle
        self.host, self.slot = host, host.slots[plan.slot]
        self.plan = plan
        self.code: Optional[ExitCode] = None  # of its end; None: it was killed
        self.scheduler = Scheduler(broker.chance, now, WEIGHTS, self._freeze)
        self.scheduler.kill_at = plan.kill_at
        self.oracle.fault = self.scheduler.fault
        self.oracle.fresh = self.slot.fresh
        self.oracle.calls, self.oracle.strange, self.oracle.pauses = set(), set(), {}
        self.oracle.ordering = plan.settings["ordering"]
        self.oracle.ordering_of = {topic: own.get("ordering", "") for topic, own in plan.settings["topic_tables"].items()}
        self._exactly_once = plan.settings["delivery"] == "exactly-once"
        self.oracle.patience = LATEST_TRANSACTION_SECONDS if self._exactly_once else LATEST_COMMIT_SECONDS
        if plan.settings["offset_map"] == "off":  # what is done behind a gap no commit says
            self.oracle.patience = math.inf
        self.in_hand: Set[Id] = set()
        self.rejected: Set[Id] = set()
        self.handlers = Handlers(self)
        self.task_process: Any = None  # stands for the class
        self.left: Optional[bytes] = None  # of the journal, for whoever comes next
        self._client: Optional[Client] = None
        self._transactional: List[Transactional] = []
        self._child: Any = None
        self._things_happen = True
        self._wishes = 0
        self._blamed = False

    # ---- from start to end ----

    def run(self) -> str:
        """What was wrong, or nothing."""
        ours, theirs = socket.socketpair()
        with ours, theirs, in_place(self):
            self._child = SimulatedChild(self, Channel(theirs))
            self._child._stage.move(Stage.WAITING)
            self.scheduler.spawn(self._consume, "consumer")
            self.scheduler.spawn(self._main, "main")
            self.scheduler.spawn(self._supervise, "supervisor", ours)
            self.scheduler.spawn(self._world, "world")
            self.scheduler.run()
        with open(self.slot.path, "wb") as file:
            file.write(self.left or b"")
        if self._child._journal is not None:
            self._child._journal._memory.close()  # now, because it holds a descriptor
        if isinstance(self._child._pool, AsyncPool):
            end_calls(self._child._pool)
        late: List[str] = []
        self.oracle.fault = late.append
        if self._client is not None:
            self._client.crash()
        for producer in self._transactional[-1:]:
            producer.crash()
        return "".join([self.scheduler.problem, *late][:1]) or "".join(late)

    def _consume(self) -> None:
        try:
            self._child._consume()
        except ValueError:  # of a stage: who comes back from a long wait behind the deadline finds the process as good as gone
            if self._child._stage.now is not Stage.CLOSED:
                raise

    def _main(self) -> None:
        self.code = self._child._watch(SimpleNamespace(take=list))
        if self.code is ExitCode.FAULT:
            self.scheduler.fault("the consumer thread ended by a fault")
        self.scheduler.kill()

    def _supervise(self, connection: socket.socket) -> None:
        self._order(self.plan.orders)
        began = self.scheduler.now
        for at, word in self.plan.stops:
            while self.scheduler.now < began + at and not ("stop" in word and self._nothing_is_left()):
                self.scheduler.wait(min(5.0, began + at - self.scheduler.now), self._comes_early)
                if self._comes_early():
                    break
            connection.sendall(json.dumps(word).encode() + b"\n")
            self._wishes += 1
            if "orders" in word:
                self._order(word["orders"])
        self.scheduler.wait(None)

    def _comes_early(self) -> bool:
        """Whether the next word comes as soon as the client does not read from elsewhere: that waits while all else ends."""
        return self.plan.early and self._client is not None and self._client.refuses

    def _nothing_is_left(self) -> bool:
        """Whether the last process may end."""
        more = self._things_happen or self._client is None or self._client.moves
        return self.plan.last and not more and self.broker.settled()

    def _order(self, rows: List[List[Any]]) -> None:
        pauses, now = Pauses(of_rows(rows)), self.scheduler.now
        paused = {name for name in self.oracle.keys if pauses.of(*name)}
        self.oracle.pauses = {name: self.oracle.pauses.get(name, now) for name in paused}
        self.oracle.ordered.update(((row[0], row[1]), row[2]) for row in rows if row[2] is not None)

    def _world(self) -> None:
        began = self.scheduler.now
        for at, what in self.plan.world:
            self.scheduler.wait(max(0.0, began + at - self.scheduler.now))
            self.broker.happens(what, self.scheduler.now)
        self._things_happen = False
        self.scheduler.wait(None)

    def seat_free(self) -> None:
        """Who comes next may open the journal now."""
        self.left = self._journal()

    def _freeze(self) -> None:
        """The process has ended, at this step."""
        self._child._pool._ended = True  # an event loop takes the end of the process for a call's
        self.left = self.left if self.left is not None else self._journal()
        running = [*self._child._pool.running(), *self._child._quarantine.running()]
        noted = {identity(task[2]) for _, task in running} | self.in_hand
        if self._child._journal is not None:  # else what the process before left stands there as it was
            self.slot.noted = noted if self.code is None else None
            self.slot.called = set(self.oracle.calls)
        elif self._blamed or self.plan.settings["isolation"] == "process":  # which blames nobody, and notes that all the same
            self.slot.called = set()
        self.oracle.forgets(noted)

    def _journal(self) -> bytes:
        try:
            with open(self.slot.path, "rb") as file:
                return file.read()
        except OSError:
            return b""

    # ---- what the process believes to be outside of it ----

    def client(self, properties: Dict[str, Any]) -> Client:
        moves = [self.scheduler.now + at for at in self.plan.moves]
        self._client = Client(self.broker, self.scheduler, properties, moves)
        self._client.on_given, self._client.on_taken, self._client.on_gone = self._given, self._taken, self._gone
        return self._client

    def producer(self, *_: Any, **__: Any) -> Producer:
        return Producer(self.broker, self.scheduler, self._letters(), self.in_hand)

    def transactional(self, *_: Any, **__: Any) -> Transactional:
        made = Transactional(self.broker, self.scheduler, self._letters(), last=self.plan.last)
        self._transactional.append(made)
        return made

    def _letters(self) -> Letters:
        return Letters(self.oracle, lambda topic: int(self._child._settings.of(topic).max_attempts), self.rejected)

    def _given(self, names: List[TopicPartition]) -> None:
        """Of these has to be known what the broker says, and what this slot noted under a commit that the broker has; or where
        it was in another one, what that did."""
        for name in names:
            known, writer = self.broker.held(name), self.broker.writer(name)
            ours = self.slot.proves(name, writer)
            for slot in [self.slot] if ours else self.host.slots:
                known.update(self.oracle.offsets(name, slot.fresh) if slot.proves(name, writer) else ())
            if not ours:
                self.oracle.strange.update(task for task in self.oracle.calls if task.name == name)
            self.oracle.known[name] = known

    def _taken(self, names: List[TopicPartition]) -> None:
        taken = self._child._loop._ownership.assignment.selected(names)
        for name in set(names).difference((each.topic, each.number) for each in taken):
            del self.broker.since[name]  # it ends, and wants no more of them
        for partition in taken:
            name = (partition.topic, partition.number)
            self.oracle.believed(
                name, [each for first, behind in partition.stored.done_before for each in range(first, behind)]
            )
            known = self.oracle.known[name]
            self.oracle.forgets([task for task in self.oracle.remembered(name) if task.offset not in known])
            self.slot.stored[name] = partition.stored

    def _gone(self, names: List[TopicPartition]) -> None:
        """What of these is in a thread's hand counts no more, whatever becomes of it."""
        running = [*self._child._pool.running(), *self._child._quarantine.running()]
        tasks = [identity(task[2]) for _, task in running]
        self.oracle.forgets([task for task in tasks if task.name in names])
        self.oracle.forgets(self.in_hand)

    def sleep(self, seconds: float) -> None:
        self.scheduler.wait(seconds, lazy=True)
        if self._client is not None:
            self._client.look()

    def select(self, timeout: float) -> List[Any]:
        self.scheduler.wait(timeout, lambda: self._child._code is not None or self._wishes > 0, lazy=True)
        self._wishes = 0
        return []

    def blamed(self, places: Set[Tuple[str, int, int]]) -> None:
        self._blamed = True
        self.oracle.suspected(places, self.slot.noted, self.slot.called)
