"""The handler threads: each takes a task, calls the handler, records the outcome. The path of a message that succeeds takes no
lock and no queue with one: queues whose every operation is atomic, the completion flag of the segment, and counters that each
thread keeps for itself. Sleeping threads are woken by tokens in a `SimpleQueue`. Whoever puts tasks into queues wakes one
thread, and that one wakes the next before it begins, if there is more than it takes itself: where tasks take next to no time
one thread does them all, and waking fifteen others would be in vain. (Measured: `queue.Queue` costs 1.2 us a message,
`ThreadPoolExecutor.submit` 20 us and an unbounded queue.)"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import deque
from queue import SimpleQueue
from typing import Any, Callable, Deque, Dict, Iterable, Iterator, List, Optional, Tuple

from kafka_worker.handler.hooks import Registry
from kafka_worker.handler.lives import Hooks
from kafka_worker.partitions.queues import Queue
from kafka_worker.partitions.task import Task, attempt_of, finish, is_first, is_void, mark_open, message_of, partition_of
from kafka_worker.partitions.tracker import DONE, RUNNING
from kafka_worker.partitions.undecided import Raised, Returned, Undecided, sends_of
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.pools.times import produced_at
from kafka_worker.pools.turns import Served, Share, Turns
from kafka_worker.shared.foreign.errors import UntriedError
from kafka_worker.shared.foreign.exceptions import copied
from kafka_worker.shared.ipc.snapshot import BOUNDS

TURN_SECONDS = 0.005  # for one partition before the next has its turn: long against a switch, short against a task


class Pool:
    """Handler threads: `limit` of them run tasks, the others rest. The main thread may use `running`, `waiting` and, once they
    are started, `resize`; everything else belongs to the consumer thread."""

    name = "handler-%d"  # of its threads
    hooks = Hooks(Registry([], []))  # that run in its threads
    turns: Optional[Turns] = None  # None: all queues are alike
    since = staticmethod(produced_at)  # from when on a message could have been called

    def __init__(self, threads: int, call: Callable[..., Any]) -> None:
        """The threads start with `start`."""
        self._call = call
        self._served = Served()
        self._shares: Dict[str, Share] = {}  # by topic, of those that may not have all threads
        self._tokens: SimpleQueue[None] = SimpleQueue()
        self.undecided: Deque[Undecided] = deque()
        self.idle = threading.Event()
        self.kept_back: Deque[Task] = deque()
        self.threads = [HandlerThread(self.name % number) for number in range(threads)]
        self.limit = threads  # how many may take tasks
        self._resized = threading.Condition()
        self._ended = False
        self.clock: Callable[[], float] = time.monotonic  # that times calls

    def prepare(self, _seconds: Optional[float] = None) -> bool:
        return True  # nothing has to be there: a thread without its hooks takes no task, and others do

    def start(self) -> None:
        """Start the threads. They are daemons: a handler that never returns must not keep the process."""
        for number, thread in enumerate(self.threads):
            self._start(thread, number)

    def resize(self, threads: int) -> None:
        """This many threads take tasks from now on: missing ones are started; surplus ones rest when their turn is over."""
        with self._resized:
            self.limit = threads
            self._resized.notify_all()
        for number in range(len(self.threads), threads):
            thread = HandlerThread(self.name % number)
            self.threads.append(thread)
            try:
                self._start(thread, number)
            except RuntimeError:  # the machine has no room for another: the others go on
                self.threads.pop()
                self.limit = number
                break

    def stop(self) -> None:
        """End the threads that have nothing to do."""
        self._ended = True
        with self._resized:
            self._resized.notify_all()
        for _ in self.threads:
            self._tokens.put(None)

    def close(self) -> None:
        """All threads have ended, and the process goes on."""

    def _start(self, thread: HandlerThread, number: int) -> None:
        threading.Thread(target=self._live, args=(thread, number), name=thread.name, daemon=True).start()

    @property
    def capacity(self) -> int:
        """How many calls may run at once."""
        return self.limit

    @property
    def tuned(self) -> Optional[Pool]:
        """The pool whose size may be tuned by what is measured; None: there is none."""
        return self

    @property
    def waiting(self) -> bool:
        """Whether there are tasks that more threads could take."""
        return any(map(len, self._served.queues))

    def serve(self, queues: Iterable[Queue]) -> None:
        """Take tasks from these queues from now on, in turn."""
        served = tuple(queues)
        if self.turns is not None:
            self._shares, served = self.turns.shares(served), self.turns.order(served)
        self._served = Served(served)

    def wake(self, tasks: int) -> None:
        """So many tasks were put into the queues: wake a thread, which wakes the next if there is more than it takes. A token
        that nobody has taken yet is enough: whoever takes it looks into all queues afterwards."""
        if tasks > 0 and not self._tokens.qsize():
            self._tokens.put(None)

    def running(self) -> List[Tuple[HandlerThread, Task]]:
        """What runs now."""
        current = [(thread, thread.task) for thread in self.threads]
        return [(thread, task) for thread, task in current if task is not None]

    def full(self, topic: str) -> bool:
        """Whether no thread is free."""
        return len({thread.name for thread, _ in self.running()}) >= self.limit or self.share_is_full(topic)

    def share_is_full(self, topic: str) -> bool:
        """Whether its share is used up."""
        return topic in self._shares and self._shares[topic].is_full(self.capacity)

    def _live(self, thread: HandlerThread, number: int) -> None:
        """The life of a thread: it serves while its hooks run."""
        if self._prepare(thread):
            self._serve(thread, number)
        self.hooks.stop_of_thread(thread.name)

    def _prepare(self, thread: HandlerThread) -> bool:
        """Start the hooks of this thread; False: it has to end."""
        return self.hooks.start_of_thread(thread.name)

    def _serve(self, thread: HandlerThread, turn: int) -> None:
        """What a handler thread does. `turn` begins as its number, and counts through the queues."""
        thread.ident, thread.native_id = threading.get_ident(), threading.get_native_id()
        number, woken = turn, True
        while not self._ended:
            if number >= self.limit:
                self._rest(thread, number)
                continue
            served = self._served
            others = served.filled(turn)
            for turn in others:  # noqa: PLR1704 (where the next round begins)
                queue = served.queues[turn % served.around]
                if woken or self._shares:
                    found = self._serve_within(thread, queue, others if woken else None)
                else:
                    found = self._serve_one(thread, queue.pop)
                if found:
                    woken = False
                    # Its turn is over. Others may sleep, and this thread's next call may take an hour.
                    if not self._tokens.qsize() and queue.free:
                        self._tokens.put(None)
                    break
            else:
                if not self.idle.is_set():
                    self.idle.set()
                self._tokens.get()
                woken = True

    def _serve_within(self, thread: HandlerThread, queue: Queue, others: Optional[Iterator[int]] = None) -> bool:
        """A turn of one queue, if its topic's share has room; whether there was any task. `others`, for a thread that was
        woken: the turns of other queues that have something."""
        share = self._shares.get(queue.topic)
        if share is None:
            return self._serve_and_tell(thread, queue, others)
        if not queue or not share.enter(self.limit):  # a thread that finds nothing must not enter: leaving wakes others
            return False
        served = False
        try:
            served = self._serve_and_tell(thread, queue, others)
        finally:
            if share.leave(self.limit, served=served):
                self.wake(1)  # those who came while it was full have gone to sleep
        return served

    def _serve_and_tell(self, thread: HandlerThread, queue: Queue, others: Optional[Iterator[int]]) -> bool:
        """The same, of one that has room. A thread that was woken and sees more than one task wakes the next; not one that
        finds none it may take, or each would wake another for it, without end."""
        if others is not None:
            free = queue.free
            if free > 1 or (free and next(others, None) is not None):
                self.wake(1)
        return self._serve_one(thread, queue.pop)

    def _rest(self, thread: HandlerThread, number: int) -> None:
        """Rest until this thread is wanted again. What it was woken for is left to another; its hooks stop."""
        self._tokens.put(None)
        self.hooks.stop_of_thread(thread.name)
        with self._resized:
            self._resized.wait_for(lambda: number < self.limit or self._ended)
        self._prepare(thread)

    def _serve_one(self, thread: HandlerThread, pop: Callable[[], Task]) -> bool:
        """Run tasks of one queue until it is empty or its turn is over; whether there was any.

        One loop without calls, and counters that are written once a turn: this is where a message's price is made."""
        call, clock, quick, done, failed, slow, vain = self._call, self.clock, BOUNDS[0], 0, 0, 0, 0.0
        began = ended = clock()
        until = began + TURN_SECONDS
        while ended < until:
            thread.started = started = ended  # one ends as the next begins
            try:
                # First the note, then the look at `closed`: whoever closes a partition and then finds no note of its tasks
                # knows that none beyond the frontier will start.
                thread.task = task = pop()
            except IndexError:
                break
            offset, segment, message, _lane, attempt, partition = task
            closing = partition.closing
            if closing.closed and offset >= closing.frontier:  # `kept_back` written out
                self.kept_back.append(task)
                continue
            flags, place = segment.flags, offset + segment.shift
            flags[place] = RUNNING  # in the journal this is the witness of what ran when the process died
            try:
                result = call(message, partition, attempt)
                if result is not None:
                    result = sends_of(result, (task,))
            except BaseException as problem:  # SystemExit and KeyboardInterrupt too: a handler can't end the service
                counts = self._fail(thread, task, copied(problem))
                failed, (vain, started) = failed + counts, (vain, started) if counts else self._in_vain(vain, started)
            else:
                thread.ended = task
                if result is not None or partition.void:
                    counts = self._record(task, result)
                    done, (vain, started) = done + counts, (vain, started) if counts else self._in_vain(vain, started)
                else:
                    done += 1
                    flags[place] = DONE
                    if partition.lanes and (follower := partition.lanes.pop(offset, None)) is not None:
                        partition.queue.put(follower)
            ended = clock()
            if ended - started >= quick:
                slow += 1
                thread.times[partition.queue.topic].counts[bisect_left(BOUNDS, ended - started)] += 1
            if closing.forgotten:
                thread.stale += 1
        ran, thread.task = thread.task is not None, None
        if done + failed:
            self._count_turn(thread, task, done, failed, slow, ended - began - vain)
        return ran

    def _in_vain(self, vain: float, started: float) -> Tuple[float, float]:
        """A call that does not count: the seconds of all such calls in this turn, and a beginning that makes it take no
        time."""
        now = self.clock()
        return vain + now - started, now

    def _count_turn(self, thread: HandlerThread, last: Task, done: int, failed: int, slow: int, seconds: float) -> None:
        """Count a turn. `slow`: of its calls, those whose time is counted already; `last`: its last task."""
        topic, times = partition_of(last).queue.topic, thread.times[partition_of(last).queue.topic]
        thread.count(topic, done, failed, seconds)
        times.counts[0] += done + failed - slow
        times.seconds += seconds
        if is_first(attempt_of(last)):  # it stands for all, which have begun within this turn
            thread.count_delay(topic, self.since(message_of(last)), seconds, done + failed)

    def _fail(self, thread: HandlerThread, task: Task, error: BaseException) -> bool:
        """Leave a failed task for the consumer thread to decide about, unless it is void; whether the call counts."""
        thread.ended = task
        if is_void(task):
            return False
        mark_open(task)
        self.undecided.append(Raised(task, error))
        return not isinstance(error, UntriedError)

    def _record(self, task: Task, result: Optional[Returned]) -> bool:
        """The task is done, or will be when what its handler returned is stored; whether the call counts."""
        if is_void(task):
            return False
        if result is None:
            finish(task)
        else:
            mark_open(task)
            self.undecided.append(result)
        return True
