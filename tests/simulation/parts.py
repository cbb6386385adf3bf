"""What of a process is simulated, and how it comes into the places of the real parts."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from concurrent.futures import Future
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Deque, Iterator, List, Optional, Tuple
from unittest.mock import patch

from kafka_worker import build, loop, process
from kafka_worker.draining import ending, ongoing, settling
from kafka_worker.gates import breaker, breakers, gate, gates
from kafka_worker.handler.loading import Kind
from kafka_worker.isolation import isolated
from kafka_worker.isolation.isolated import Isolated
from kafka_worker.kafka import consumer
from kafka_worker.kafka.incoming import backpressure, beginnings, prefetch, rewinds
from kafka_worker.kafka.outgoing import outbox, transactions, transactor
from kafka_worker.kafka.outgoing.transactor import Transactor
from kafka_worker.kafka.properties import Member
from kafka_worker.outcomes import dead_letters, decisions, results, retry, retry_topics, sleeping
from kafka_worker.outcomes.retry import policies
from kafka_worker.ownership import arrivals, committer, ownership, reading, starting
from kafka_worker.partitions import assignment, closing, commits, flow, intake, lanes, stored, task, tracker
from kafka_worker.partitions.assignment import Partition
from kafka_worker.pools import async_pool, batch_pool, handler_thread, thread_pool, turns
from kafka_worker.pools.async_pool import AsyncPool
from kafka_worker.pools.batch_pool import BatchPool
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.process import ChildProcess
from kafka_worker.recovery import journal, quarantine, recovery
from kafka_worker.recovery.quarantine import Quarantine
from kafka_worker.shared.ipc.channel import Channel
from kafka_worker.shared.ipc.orders import of_rows
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import memory
from kafka_worker.shared.system.deadline import Deadline
from kafka_worker.steering import parking, steering
from kafka_worker.upkeep.time_limits import TimeLimits
from kafka_worker.upkeep.upkeep import Upkeep
from tests.simulation.client import Ids
from tests.simulation.scheduler import Scheduler, Weighted

if TYPE_CHECKING:
    from tests.simulation.broker import Message
    from tests.simulation.child import Life

SEGMENT, RECORDS = 8, 64  # offsets a segment, and segments a journal: small, so that a few messages fill some
PREFETCH = 3000  # bytes: five messages
SHARES = memory.Shares(0, 0, in_flight=200, prefetch=PREFETCH)  # of a MEMORY_LIMIT: four messages, or two beside retry topics
ORDINARY, HOT, MOVING = 1, 6, 60

#: Where threads may change, and how much a line counts towards it: most where one thread looks at what another moves.
WEIGHTS = Weighted(finely=Pool._serve_one.__code__)
for _module in (
    arrivals, assignment, closing, commits, committer, consumer, decisions, ending, flow, intake, journal, loop, outbox,
    ownership, process, recovery, results, retry, stored, backpressure, beginnings, prefetch, rewinds, reading, starting,
    steering, parking, ongoing, transactions, transactor, async_pool, batch_pool, turns,
    breaker, breakers, gates, dead_letters, retry_topics, sleeping,
):  # fmt: skip
    WEIGHTS.add(_module, ORDINARY)
for _module in (gate, lanes, settling, task, tracker):
    WEIGHTS.add(_module, HOT)
WEIGHTS[decisions.Decisions.undecided.__code__] = HOT
for _step in (Pool._serve, Pool._serve_and_tell, Pool.wake):
    WEIGHTS[_step.__code__] = ORDINARY
WEIGHTS[Pool._serve_one.__code__] = HOT
for _look in (tracker.Segment.first_open, tracker.Segment.last_done, tracker.Segment.seen):
    WEIGHTS[_look.__code__] = MOVING


class SimulatedChild(ChildProcess):
    """The real one, with parts that take the simulated clock."""

    def __init__(self, life: Life, channel: Channel) -> None:
        self._life = life
        settings = simulated_settings(**life.plan.settings)
        super().__init__(settings, life.plan.slot, channel, of_rows(life.plan.orders))
        self._seat: Any = Seat(life)
        self._build({})

    def _build(self, _handlers: Any) -> None:
        settings, life = self._settings, self._life
        clock = life.scheduler.monotonic
        pool = _pool(settings, life)
        quarantine = _Quarantine(settings, 0, pool, life.host.suspects)
        quarantine.life = life
        policy = policies(settings, life.broker.chance.random)
        parts = build.parts(settings, pool, quarantine, policy, Member("host", 0), self._open_journal, clock, clock)
        self._loop = loop.ConsumerLoop(settings, parts, self._stage, clock)
        self._loop.order(self._orders)
        self._pool, self._quarantine = pool, quarantine
        self._upkeep = Upkeep(settings, pool, clock, resident=lambda: 0)
        self._time_limits = TimeLimits(settings, self._loop.running, life.host.suspects, clock)
        # Nobody hears it here, and it would take a third of the time.
        self._heartbeat: Any = SimpleNamespace(message=dict, poll_age=lambda: 0.0)


def _pool(settings: Settings, life: Life) -> Pool:
    pool: Pool
    if life.plan.kind is Kind.BATCH:
        whole = settings.delivery == "exactly-once"
        pool = BatchPool(settings.threads, life.handlers.batch, settings.batch_size, whole=whole)  # type: ignore[arg-type]
    elif life.plan.kind is Kind.ASYNC:
        pool = AsyncPool(settings.coroutines, life.handlers.coroutine)
    elif settings.isolation == "process":
        pool = Pool(settings.threads, Isolated(settings, life.plan.slot, life.task_process))
    else:
        pool = Pool(settings.threads, life.handlers.call)
    pool.turns = turns.of_settings(settings)
    return pool


class _Quarantine(Quarantine):
    life: Life

    def blame(self, places: Any, when: str = "") -> None:
        self.life.blamed(set(places))
        super().blame(places, *([when] if when else ()))


class _TaskProcess:
    """In the place of a process: a call."""

    life: Life

    def __init__(self, *_: Any) -> None:
        """Nothing to start."""

    def run(self, message: Message, partition: Partition, attempt: int, *_: Any) -> Any:
        return self.life.handlers.apart(message, partition, attempt)

    def close(self) -> None:
        """Nothing to end."""


class _Tokens:
    """In the place of a SimpleQueue."""

    scheduler: Scheduler

    def __init__(self) -> None:
        self._items: Deque[Any] = deque()

    def put(self, item: Any) -> None:
        self._items.append(item)

    def qsize(self) -> int:
        return len(self._items)

    def get(self) -> Any:
        while not self._items:
            self.scheduler.wait(None, lambda: bool(self._items))
        return self._items.popleft()


class _Event:
    """In the place of a threading.Event."""

    scheduler: Scheduler

    def __init__(self) -> None:
        self._set = False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True

    def clear(self) -> None:
        self._set = False

    def wait(self, seconds: float) -> None:
        self.scheduler.wait(seconds, self.is_set)


class _Lock:
    """In the place of a threading.Lock."""

    scheduler: Scheduler

    def __init__(self) -> None:
        self._held = False

    def __enter__(self) -> None:
        while self._held:
            self.scheduler.wait(None, lambda: not self._held)
        self._held = True

    def __exit__(self, *_: object) -> None:
        self._held = False


class _Loop(asyncio.BaseEventLoop):
    """An event loop of which the only event is that somebody wakes it."""

    def __init__(self, scheduler: Scheduler) -> None:
        """It does not run yet."""
        self._woken = False
        super().__init__()
        self._scheduler = scheduler
        self._selector = self

    def time(self) -> float:
        return self._scheduler.now

    def select(self, timeout: Optional[float]) -> List[Any]:
        self._scheduler.wait(timeout, lambda: self._woken)
        self._woken = False
        return []

    def _process_events(self, _events: List[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        self._woken = True


def end_calls(pool: AsyncPool) -> None:
    """Its process is gone: nobody is to complain that they never went on."""
    for place in pool._places:
        if place.future is not None:
            place.future._log_destroy_pending = False  # type: ignore[attr-defined]
            with contextlib.suppress(BaseException):
                place.future.get_coro().close()
    if pool._begun:
        pool.close()


class _Selector:
    """In the place of that of the main thread."""

    life: Life

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def register(self, *_: Any) -> None:
        """Everything is looked at anyway."""

    def unregister(self, *_: Any) -> None:
        """Likewise."""

    def select(self, timeout: float) -> List[Any]:
        return self.life.select(timeout)


class Seat:
    """In the place of the slot's lock, which nobody else holds."""

    lost = holder = ""

    def __init__(self, life: Life) -> None:
        self._life = life

    def take(self) -> None:
        """Ours."""

    def release(self) -> None:
        """Whoever comes next may open the journal. Only the end of the process does this: see `mutations`."""
        self._life.seat_free()

    def journal_opened(self) -> None:
        """Nobody takes it away."""

    def check(self) -> None:
        """Nobody takes the lock away either."""


def simulated_settings(**changes: Any) -> Settings:
    """With numbers that fit the simulated seconds."""
    return Settings(
        bootstrap_servers="nowhere:1", group_id="group", runtime_directory="/nowhere",
        state_directory="/nowhere", processes=1, threads=2, threads_max=2, restart_limit=10, commit_interval_seconds=5.0,
        max_attempts=3, max_deaths=2, retry_backoff_seconds=0.5, breaker_min_calls=3, dead_letter_storm_messages=4,
        coroutines=3, handler_timeout_seconds=0.0, handler_kill_seconds=0.0, **changes,
    )  # fmt: skip


def _threads(scheduler: Scheduler, event: Any, lock: Any) -> SimpleNamespace:
    """In the place of the module."""
    thread = SimpleNamespace(start=lambda: None)

    def spawned(target: Any, args: Tuple[Any, ...] = (), name: str = "", **_: Any) -> Any:
        scheduler.spawn(target, name, *args)
        return thread

    return SimpleNamespace(
        Thread=spawned,
        Condition=threading.Condition,
        Event=event,
        Lock=lock,
        current_thread=threading.current_thread,
        local=threading.local,
        get_ident=threading.get_ident,
        get_native_id=threading.get_native_id,
    )


@contextlib.contextmanager
def in_place(life: Life) -> Iterator[None]:
    """The simulated parts in the places of the real ones."""
    scheduler = life.scheduler
    time = SimpleNamespace(monotonic=scheduler.monotonic, time=scheduler.monotonic, sleep=life.sleep)
    bound = [
        type(kind.__name__, (kind,), {"life": life, "scheduler": scheduler})
        for kind in (_Tokens, _Selector, _TaskProcess, _Event, _Lock)
    ]
    tokens, selector, task_process, event, lock = bound
    life.task_process = task_process
    threads = _threads(scheduler, event, lock)
    loops = SimpleNamespace(new_event_loop=lambda: _Loop(scheduler), set_event_loop=asyncio.set_event_loop)
    files = SimpleNamespace(slot_journal=lambda *_: life.slot.path)
    selectors = SimpleNamespace(DefaultSelector=selector, EVENT_READ=1, BaseSelector=object)
    with contextlib.ExitStack() as stack:
        for module, changes in (
            (process, {"time": time, "threading": threads, "selectors": selectors, "runtime_files": files,
                       "Deadline": lambda seconds: Deadline(seconds, scheduler.monotonic)}),
            (thread_pool, {"time": time, "threading": threads, "SimpleQueue": tokens}),
            (handler_thread, {"time": time}),
            (ownership, {"time": time}),
            (async_pool, {"threading": threads, "asyncio": loops}),
            (gate, {"threading": threads}),
            (turns, {"threading": threads}),
            (consumer, {"time": time, "create_consumer": life.client, "TopicIds": lambda _properties: Ids(life.broker),
                        "Asker": lambda _properties: lambda _names: Future()}),  # nobody answers
            (outbox, {"Producer": life.producer}),
            (build, {"Transactor": lambda properties: Transactor(properties, life.transactional)}),
            (transactor, {"time": time, "threading": threads, "SimpleQueue": tokens}),
            (quarantine, {"TaskProcess": task_process}),
            (isolated, {"_PROCESSES": {}}),  # threads of tests to come may have the names of these
            (memory, {"MOST_PREFETCH_BYTES": PREFETCH,
                      "shares": lambda settings: SHARES if settings.memory_limit != "0" else None}),
            (tracker, {"SEGMENT_SIZE": SEGMENT}),
            (stored, {"new_name": lambda: f"{life.broker.chance.getrandbits(32):08x}"}),
            (journal, {"SEGMENT_SIZE": SEGMENT, "RECORDS": RECORDS, "_RECORD": journal._HEADER.size + SEGMENT,
                       "_SIZE": 128 + RECORDS * (journal._HEADER.size + SEGMENT), "SCARCE": 4, "boot_id": lambda: b"boot",
                       "_of_same_file": lambda _: []}),  # it takes longer the more schedules were played
        ):  # fmt: skip
            for name, value in changes.items():
                stack.enter_context(patch.object(module, name, value))
        yield
