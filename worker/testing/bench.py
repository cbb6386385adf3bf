"""One consumer process on a bench: its real parts, put together as `build` puts them together, on topics in memory and a clock
that can be turned. Whoever uses it is its consumer thread, and its main thread."""

from __future__ import annotations

import threading
from typing import AbstractSet, Any, Iterator, List, Optional, Tuple, cast

from kafka_worker import build
from kafka_worker.draining.stopping import Stop
from kafka_worker.handler.routing import Handlers
from kafka_worker.isolation import isolated
from kafka_worker.kafka.listener import RebalanceListener
from kafka_worker.kafka.properties import Member as Name
from kafka_worker.loop import ConsumerLoop
from kafka_worker.outcomes.retry import policies
from kafka_worker.ownership.ownership import Ownership
from kafka_worker.partitions.task import Attempt, Task, attempt_of, message_of
from kafka_worker.pools import composite
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.recovery.quarantine import Quarantine
from kafka_worker.recovery.suspects_file import SuspectsFile
from kafka_worker.shared import routes
from kafka_worker.shared.ipc.snapshot import HeadReport, Stage, Waits
from kafka_worker.shared.ipc.stage import StageHolder
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system.deadline import Deadline
from kafka_worker.standstill.heads import Heads
from kafka_worker.testing.clock import TurnedClock
from kafka_worker.testing.hooks import PromptHooks
from kafka_worker.testing.results import NotedOutbox, Notes, Result, noted
from kafka_worker.testing.topics import Member, Producer, Topics
from kafka_worker.upkeep.time_limits import TimeLimits

Running = Tuple[HandlerThread, Task]


class Bench:
    """The process of slot 0."""

    def __init__(self, settings: Settings, handlers: Handlers, hooks: PromptHooks) -> None:
        """Nothing runs yet."""
        self._settings = settings
        self.hooks = hooks
        self.clock = TurnedClock()
        self.topics = Topics()
        retries = policies(settings, lambda: 1.0)  # the longest waits that chance may choose, so that a test knows them
        self.notes = Notes(retries, self)
        for name, handler in handlers.by_name.items():
            handlers.by_name[name] = noted(handler, self.notes)
        self.pool = composite.build(settings, handlers, hooks, self.clock, self.clock.wall)
        suspects = SuspectsFile(None)
        quarantine = Quarantine(settings, 0, self.pool, suspects, self.clock.wall)
        outbox = NotedOutbox(self.notes, self.topics, self.clock, lambda _: cast("Any", Producer(self.topics)))
        self.parts = build.parts(
            settings,
            self.pool,
            quarantine,
            retries,
            Name(settings.host, 0),
            clock=self.clock,
            wall=self.clock.wall,
            outbox=outbox,
        )
        self._stage = StageHolder()
        self.loop = ConsumerLoop(settings, self.parts, self._stage, self.clock, self._join)
        self._heads = Heads(self.parts, self.clock.wall)
        self._limits = TimeLimits(settings, self.loop.running, suspects, self.clock)
        self._threads: List[threading.Thread] = []
        self.member: Member
        self._ownership: Ownership

    def _join(self, _properties: object, _topics: object, listener: RebalanceListener, _clock: object) -> Any:
        self._ownership = cast("Ownership", listener)
        self.member = Member(self._settings, self.topics, self.pool.idle, listener)
        return self.member

    def start(self, patience: float) -> None:
        """As `process.ChildProcess` does: hooks, threads, the group. Raises HookError."""
        self.hooks.start()
        self.hooks.check()
        before = set(threading.enumerate())
        self.pool.prepare(patience)  # what has failed, or does not come, is told below
        self.pool.start()
        names = {thread.name for thread in self.pool.threads}  # a hook may start others, which are its own
        self._threads = [thread for thread in threading.enumerate() if thread not in before and thread.name in names]
        self.hooks.wait(len(self.pool.threads), patience)
        self._stage.move(Stage.WAITING)
        self._stage.move(Stage.CONSUMING)
        self.loop.begin()

    def turn(self) -> None:
        """A turn of the loop, and a look at the time limits."""
        self.loop.turn()
        self._limits.check()
        self.hooks.check()

    def drain(self, seconds: float) -> None:
        """End in order, the calls that run within so many seconds."""
        self.loop.stop(Stop(Deadline(seconds, self.clock), leave=True))
        self.loop.end()

    def close(self, seconds: float) -> None:
        """Stop the hooks, and end all threads that have nothing to do."""
        self.hooks.stop(self.pool.stop, lambda: {thread.name for thread, _ in self.pool.running()}, seconds)
        if self._threads:
            self.pool.stop()
            busy = {thread.name for thread, _ in self.pool.running()}
            for thread in self._threads:
                thread.join(0.0 if thread.name in busy else seconds)
            if not any(thread.is_alive() for thread in self._threads):
                self.pool.close()
        if self._settings.isolation == "process":
            isolated.close_all()

    # ---- what becomes of a message ----------------------------------------------------------------------------------

    def results(self) -> List[Result]:
        """Of all messages that came, as the service sees them: what waits in a retry topic is the message that it was."""
        for (topic, _), messages in self.topics.stored.items():
            if self.consumes(topic) and not self.parts.decisions.sleeping.topics.retries_of(topic):
                for message in messages:
                    self.notes.of(message)
        return self.notes.listed()

    def consumes(self, topic: str) -> bool:
        """Whether the service does."""
        return topic in routes.consumed(self._settings, [topic])

    def head(self, result: Result) -> Optional[HeadReport]:
        """What the service itself says of it; None: it is done with."""
        topic, number, offset = result.standing
        partition = self._ownership.assignment.get(topic, number)
        if partition is None:
            return HeadReport(offset, Waits.UNDELIVERED, 0.0)
        return self._heads.of_offset(partition, offset, self.clock())

    def waits(self, result: Result) -> str:
        """See `results.Asked`."""
        head = self.head(result)
        return head.waits.value if head else ""

    def retry_in(self, result: Result) -> Optional[float]:
        """See `results.Asked`."""
        topic, number, offset = result.standing
        partition = self._ownership.assignment.get(topic, number)
        for task, due, _ in self.parts.decisions.retries({partition: offset} if partition else {}):
            attempt = attempt_of(task)
            return round(due - attempt.failed_at, 3) if isinstance(attempt, Attempt) else None
        return None

    def hangs(self, result: Result) -> bool:
        """See `results.Asked`."""
        return any(thread.hangs(task) for thread, task in self.loop.running() if self.notes.of(message_of(task)) is result)

    def waited_for(self, let_run: AbstractSet[Result]) -> Iterator[Running]:
        """The calls that should come to their end now."""
        return (call for call in self.loop.running() if not self._runs_on(call, let_run))

    def running_on(self, let_run: AbstractSet[Result]) -> Iterator[Running]:
        """The others: those that may run on, and those that hang."""
        return (call for call in self.loop.running() if self._runs_on(call, let_run))

    def _runs_on(self, call: Running, let_run: AbstractSet[Result]) -> bool:
        thread, task = call
        return thread.hangs(task) or self.notes.of(message_of(task)) in let_run
