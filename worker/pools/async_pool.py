"""Coroutine handlers: one event loop in one thread, thousands of calls at once. To the consumer thread it is a pool like any
other, with the same notes, flags and lists.

Nothing in this thread interrupts what happens between two steps of a coroutine; the consumer thread sees the same fields as
those of handler threads. Waking the loop costs a system call, so it is done once per batch.

(Measured: 10,000 calls of a second each, 2,000 at once, take 5.1 s; a call that does nothing costs 4 us of CPU, where a
handler thread's costs 0.4.)

A coroutine that blocks (`time.sleep`, a long computation) holds up all others; that is for the user to mend, and the stack of
the thread "event-loop" shows where.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections import deque
from typing import Any, List, Optional, Tuple

from kafka_worker.handler.loading import Call
from kafka_worker.partitions.queues import Queue
from kafka_worker.partitions.task import (
    Task,
    attempt_of,
    finish,
    is_first,
    is_void,
    kept_back,
    mark_open,
    mark_running,
    message_of,
    partition_of,
)
from kafka_worker.partitions.undecided import Raised, Returned, sends_of
from kafka_worker.pools import stacks
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.pools.turns import Share
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.foreign.errors import UntriedError
from kafka_worker.shared.foreign.exceptions import copied
from kafka_worker.shared.system import forks

log = logs.logger(__name__)

TURN_TASKS = 16  # of one partition before the next has its turn


class _Call(asyncio.Task):  # type: ignore[type-arg]  # before Python 3.9 it takes no type
    """The task of one call. A handler may cancel all tasks of the loop, and one cancelled before its first step never runs:
    nothing would say what became of its message."""

    __slots__ = ()

    def cancel(self, *words: Any, **more: Any) -> bool:
        """Not before it has begun."""
        return inspect.getcoroutinestate(self.get_coro()) != inspect.CORO_CREATED and super().cancel(*words, **more)  # type: ignore[arg-type]


class Coroutine(HandlerThread):
    """One place for a call: what runs there now. What was done is counted in the loop's own record."""

    __slots__ = ("future", "share")

    def __init__(self, name: str) -> None:
        """No task runs here yet."""
        super().__init__(name)
        self.share: Optional[Share] = None  # that its room is taken from
        self.future: Optional[asyncio.Task[None]] = None  # kept, because the loop holds its tasks only weakly

    def calls(self) -> stacks.Calls:
        """Where its call is: what it waits for, or, if it keeps the loop busy just now, where the loop is."""
        future = self.future
        coroutine = future.get_coro() if future is not None else None
        if coroutine is None or coroutine.cr_running:  # type: ignore[union-attr]  # it is no generator
            return super().calls()
        return stacks.of_coroutine(coroutine)


class AsyncPool(Pool):
    """An event loop, and the calls that run in it."""

    # Every call begins in an empty context: what one leaves in context variables is no other's business.
    _blank = contextvars.Context()

    def __init__(self, coroutines: int, call: Call) -> None:
        """`coroutines`: how many may run at once. The loop starts with `start`."""
        super().__init__(1, call)
        self.threads[0].name = "event-loop"
        self._most = coroutines
        self._loop: asyncio.AbstractEventLoop
        self._turn = 0  # counts through the queues
        self._woken = False  # the loop is going to look into the queues
        self._places: List[Coroutine] = []
        self._free: List[Coroutine] = []
        self._begun, self._ready = False, False
        self._prepared = threading.Event()  # `_ready` says whether it may serve

    def prepare(self, seconds: Optional[float] = None) -> bool:
        """Start the loop, in a thread of its own, and wait until the hooks that need it have started."""
        self.start()
        return self._prepared.wait(seconds) and self._ready

    def start(self) -> None:
        """Start the loop, if it does not run already."""
        if not self._begun:
            self._begun, self._loop = True, asyncio.new_event_loop()
            super().start()

    def stop(self) -> None:
        """End the loop, with whatever still runs in it."""
        self._ended = True
        self._loop.call_soon_threadsafe(self._loop.stop)

    def close(self) -> None:
        """Give the loop back."""
        self._loop.close()

    @property
    def capacity(self) -> int:
        """COROUTINES."""
        return self._most

    @property
    def tuned(self) -> None:
        """COROUTINES bounds it."""

    def wake(self, tasks: int) -> None:
        """That many tasks were put into the queues. Any thread."""
        if tasks > 0 and not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._fill)

    def running(self) -> List[Tuple[HandlerThread, Task]]:
        """What runs now."""
        current = [(place, place.task) for place in list(self._places)]
        return [(place, task) for place, task in current if task is not None]

    def full(self, topic: str) -> bool:
        """Whether as many calls run as may."""
        return self._full or self.share_is_full(topic)

    def _prepare(self, thread: HandlerThread) -> bool:
        asyncio.set_event_loop(self._loop)
        self._ready = self.hooks.start_of_thread(thread.name, self._loop.run_until_complete, of_loop=True)
        self._prepared.set()
        return self._ready

    def _serve(self, thread: HandlerThread, _turn: int) -> None:
        """What the loop's thread does."""
        thread.ident = threading.get_ident()
        asyncio.set_event_loop(self._loop)
        forks.of_thread.in_the_copy = self._end_with_this_step
        self._loop.call_soon(self._fill)  # with what came meanwhile
        while not self._ended:
            self._run_loop()
            if forks.copied:
                forks.end()

    def _end_with_this_step(self) -> None:
        """In a copy of our process (see `forks`), which would run all other calls too."""
        getattr(self._loop, "_ready", deque()).clear()
        self._loop.call_soon(forks.end)

    def _run_loop(self) -> None:
        """A handler may start tasks of its own, whose SystemExit and KeyboardInterrupt asyncio lets through, and it may stop
        the loop. Neither must end the service."""
        try:
            self._loop.run_forever()
        except BaseException as problem:
            log.error(  # noqa: TRY400 (a copy)
                "A task of a handler would have ended the event loop",
                exc_info=copied(problem), extra=about(Event.LOOP_DISTURBED),
            )  # fmt: skip
        else:
            if self._ended:
                return
            log.warning("A handler has stopped the event loop, which goes on", extra=about(Event.LOOP_DISTURBED))

    # ---- in the loop's thread -------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Start what may run, from the partitions in turn, as long as there are places."""
        self._woken = False  # first: what comes while we look wakes us again
        if self._ended or not self._ready:  # the loop runs for its hooks, too
            return
        while not self._full and self._start_of_next():
            pass
        if not self._full:
            self.idle.set()

    def _start_of_next(self) -> bool:
        """A turn of the next queue in which something may run; whether there was one."""
        served = self._served
        for turn in served.filled(self._turn):
            self._turn = turn
            if self._start_some(served.queue(turn)):
                return True
        return False

    @property
    def _full(self) -> bool:
        return not self._free and len(self._places) >= self._most

    def _start_some(self, queue: Queue) -> bool:
        """A turn of one queue; whether there was anything in it that may run."""
        share = self._shares.get(queue.topic)
        for count in range(TURN_TASKS):
            if self._full:
                return True
            if share is not None and not share.enter(self._most):
                return count > 0
            place = self._free.pop() if self._free else self._another()
            place.started, place.share = self.clock(), share
            try:
                place.task = task = queue.pop()  # the note; then the look at `closed`
            except IndexError:
                self._leave(place)
                return count > 0
            self._begin(place, task)
        return True

    def _another(self) -> Coroutine:
        place = Coroutine(f"coroutine-{len(self._places)}")
        place.ident = threading.get_ident()
        self._places.append(place)
        return place

    def _begin(self, place: Coroutine, task: Task) -> None:
        if kept_back(task):
            self.kept_back.append(task)
            self._leave(place)
            return
        mark_running(task)
        # Not by `loop.create_task`: a handler may have set a task factory, such as the eager one, which would run it here.
        place.future = self._blank.run(_Call, self._run(place, task), loop=self._loop)

    def _leave(self, place: Coroutine) -> bool:
        """The place is free; whether others of its topic may have been waiting for it."""
        place.task = place.future = None
        self._free.append(place)
        return place.share is not None and place.share.leave(self._most)

    async def _run(self, place: Coroutine, task: Task) -> None:
        """One call, from its first step to its outcome."""
        _offset, _segment, message, _lane, attempt, partition = task
        result = error = None
        try:
            result = await self._call(message, partition, attempt)
            if result is not None:
                result = sends_of(result, (task,))
        except BaseException as problem:  # CancelledError, SystemExit and KeyboardInterrupt too: they end the call alone
            error = copied(problem)
        if forks.copied:
            forks.end()
        was_full, followed = self._full, False
        place.ended = task  # before the look at `void`
        if not is_void(task):
            followed = self._conclude(task, result, error)
            if not isinstance(error, UntriedError):
                self._count(place, task, failed=error is not None)
        if self._leave(place) or was_full or followed:
            self._fill()

    def _conclude(self, task: Task, result: Optional[Returned], error: Optional[BaseException]) -> bool:
        """Record the outcome, or that it is still to come; whether another task may run because of it."""
        undecided = result if error is None else Raised(task, error)
        if undecided is None:
            return finish(task)
        mark_open(task)
        self.undecided.append(undecided)
        return False

    def _count(self, place: Coroutine, task: Task, *, failed: bool) -> None:
        seconds, thread, partition = self.clock() - place.started, self.threads[0], partition_of(task)
        thread.count(partition.queue.topic, int(not failed), int(failed), seconds)
        if is_first(attempt_of(task)):
            thread.count_delay(partition.queue.topic, self.since(message_of(task)), seconds)
        thread.times[partition.queue.topic].add(seconds)
        if partition.closing.forgotten:
            thread.stale += 1
