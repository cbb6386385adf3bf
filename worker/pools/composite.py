"""The pools of a process: one for each kind of handler that it has. With a single kind, as nearly always, that pool stands
alone, with nothing between it and the loop."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Callable, Deque, Dict, Iterable, List, Optional, Tuple

from kafka_worker.handler.lives import Hooks
from kafka_worker.handler.loading import Kind
from kafka_worker.handler.routing import Handlers
from kafka_worker.partitions.queues import Queue
from kafka_worker.partitions.task import Task
from kafka_worker.partitions.undecided import Undecided
from kafka_worker.pools import scheduled, turns
from kafka_worker.pools.batch_pool import BatchPool
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.pools.runner import Runner
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.shared.foreign.texts import counted
from kafka_worker.shared.settings import Settings


def build(
    settings: Settings,
    handlers: Handlers,
    hooks: Optional[Hooks] = None,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> Runner:
    """The pool for these handlers, or the pools as one, with the hooks that run in their threads."""
    parts = {kind: _part(settings, handlers, kind, wall) for kind in Kind if handlers.of_kind(kind)}
    for part in parts.values():
        part.clock = clock
        part.turns = turns.of_settings(settings)
        if settings.deliver_at_max_seconds:
            part.since = scheduled.since
        if hooks is not None:
            part.hooks = hooks
    return Pools(parts, handlers.kind_of) if len(parts) > 1 else next(iter(parts.values()))


def _part(settings: Settings, handlers: Handlers, kind: Kind, wall: Callable[[], float]) -> Pool:
    call = scheduled.of_settings(settings, kind, handlers.call_of_kind(kind), wall)
    if kind is Kind.ASYNC:
        from kafka_worker.pools.async_pool import AsyncPool  # here, because it brings asyncio

        return AsyncPool(settings.coroutines, call)
    if kind is Kind.BATCH:
        return BatchPool(settings.threads, call, settings.batch_size, whole=settings.delivery == "exactly-once")
    return Pool(settings.threads, call)


def described(settings: Settings, handlers: Handlers) -> List[str]:
    """What works in this process, one line per kind."""
    lines = {
        Kind.THREAD: f"Using {counted(settings.threads, 'thread')} for concurrent processing.",
        Kind.BATCH: f"Using {counted(settings.threads, 'thread')} for batches of up to {settings.batch_size} messages.",
        Kind.ASYNC: f"Using one event loop for up to {settings.coroutines} calls at once.",
    }
    return [line for kind, line in lines.items() if handlers.of_kind(kind)]


class Pools:
    """Several pools as one. A queue goes to the pool of its topic's kind."""

    def __init__(self, parts: Dict[Kind, Pool], kind_of: Callable[[str], Optional[Kind]]) -> None:
        """All share the lists that the consumer thread empties."""
        self._parts = parts
        self._kind_of = kind_of
        self.undecided: Deque[Undecided] = deque()
        self.kept_back: Deque[Task] = deque()
        self.idle = threading.Event()
        for part in parts.values():
            part.undecided, part.kept_back, part.idle = self.undecided, self.kept_back, self.idle

    @property
    def threads(self) -> List[HandlerThread]:
        """The threads of all pools."""
        return [thread for part in self._parts.values() for thread in part.threads]

    @property
    def limit(self) -> int:
        """How many threads may take tasks, in all pools."""
        return sum(part.limit for part in self._parts.values())

    @property
    def capacity(self) -> int:
        """How many calls may run at once, in all pools."""
        return sum(part.capacity for part in self._parts.values())

    @property
    def tuned(self) -> Optional[Pool]:
        """The pool of plain handlers, if there are any."""
        return self._parts.get(Kind.THREAD)

    def prepare(self, seconds: Optional[float] = None) -> bool:
        """That of each pool."""
        return all(part.prepare(seconds) for part in self._parts.values())

    def start(self) -> None:
        """Start all pools."""
        for part in self._parts.values():
            part.start()

    def stop(self) -> None:
        """End all pools."""
        for part in self._parts.values():
            part.stop()

    def close(self) -> None:
        """All threads have ended, and the process goes on."""
        for part in self._parts.values():
            part.close()

    def serve(self, queues: Iterable[Queue]) -> None:
        """Take tasks from these queues from now on."""
        shares: Dict[Kind, List[Queue]] = {kind: [] for kind in self._parts}
        for queue in queues:
            # A topic without a handler goes to any pool: the call says what is wrong with it.
            shares[self._kind_of(queue.topic) or next(iter(shares))].append(queue)
        for kind, part in self._parts.items():
            part.serve(shares[kind])

    def wake(self, tasks: int) -> None:
        """That many tasks were put into the queues, of whichever kind."""
        for part in self._parts.values():
            part.wake(tasks)

    def full(self, topic: str) -> bool:
        """Whether nothing is free in the pool of the topic's kind."""
        kind = self._kind_of(topic)
        return kind is not None and self._parts[kind].full(topic)

    def share_is_full(self, topic: str) -> bool:
        """Whether its share of the pool of its kind is used up."""
        kind = self._kind_of(topic)
        return kind is not None and self._parts[kind].share_is_full(topic)

    def running(self) -> List[Tuple[HandlerThread, Task]]:
        """What runs now, in all of them."""
        return [pair for part in self._parts.values() for pair in part.running()]
