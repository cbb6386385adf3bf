"""A process with a backlog, simulated second by second: a client, its broker and the handlers."""

from __future__ import annotations

import heapq
from collections import deque
from typing import Any, Deque, Dict, List, Tuple

from kafka_worker.kafka.incoming.backpressure import Backpressure
from kafka_worker.kafka.incoming.prefetch import Prefetch
from kafka_worker.kafka.properties import CONSUMER_DEFAULTS, consumer_properties
from kafka_worker.partitions import intake
from kafka_worker.partitions.assignment import Assignment, Partition
from tests.unit.fakes import TOPIC, Message, some_settings

LATENCY = 0.002  # of a fetch
BACKOFF = CONSUMER_DEFAULTS["fetch.queue.backoff.ms"] / 1000
ENOUGH = CONSUMER_DEFAULTS["queued.min.messages"]


class Machine:
    """A process with an endless backlog: a client that fetches as librdkafka does, a broker that answers after a moment, and
    handler threads that take as long as they are told. It is all of them: each waits in its time."""

    def __init__(self, partitions: int, threads: int, size: int = 177, **settings: Any) -> None:
        self.now = 0.0
        self.step = 0.0002
        self.seconds = 0.005  # a task takes
        self.slow: Dict[int, float] = {}  # by partition, if it takes longer
        self.lanes: Dict[int, Deque[Any]] = {}  # by partition of which every second message has the same key: who waits for it
        self._lane_is_taken: Dict[int, bool] = {}
        self._settings = some_settings(**settings)
        self._backpressure = Backpressure(self._settings, lambda: self.now)
        self.assignment = Assignment()
        for number in range(partitions):
            self.assignment.add(TOPIC, number)
        self.prefetch = Prefetch(self._settings, self._backpressure, self, lambda: self.now)  # type: ignore[arg-type]
        self._fetched = max(1, CONSUMER_DEFAULTS["fetch.message.max.bytes"] // size)  # of one partition at once
        self._value = bytes(size)
        self._most_bytes = 1000 * consumer_properties(self._settings, "m")["queued.max.messages.kbytes"]
        # the client
        self.queue: Deque[Message] = deque()
        self.paused: List[int] = []
        self.empty: List[int] = []  # there is nothing yet in these
        self.emptied = True
        self._position = [0] * partitions  # behind what was delivered
        self._next = [0] * partitions  # behind what was fetched
        self._way: Dict[int, int] = {}  # the fetch under way: partitions, with their positions
        self._arrives = self._backed_off = 0.0
        self._turn = 0  # of which partition is the first in a fetch
        self.delivered = self.thrown_away = 0  # messages
        self.given_back: List[int] = []  # partitions
        self.emptied_at, self.heard_at = [0.0], [0.0]
        # the handlers
        self._threads = threads
        self.runnable: Deque[Any] = deque()
        self._running: List[Tuple[float, int, Any]] = []
        self.busy = 0.0
        self._set = False

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.turn()

    def turn(self) -> None:
        self._set = False
        for partition, most in self._backpressure.granted(self.assignment):
            for batch in partition.flow.taken(most):
                self.runnable.extend(filter(self._is_free, intake.tasks(partition, batch, None)))
        self._advance(0.0001)
        self.prefetch.turn(self, self.assignment, self._deliver, 0.1)  # type: ignore[arg-type]

    def partition(self, number: int) -> Partition:
        partition = self.assignment.get(TOPIC, number)
        assert partition
        return partition

    @property
    def in_hand(self) -> int:
        return sum(partition.flow.waiting for partition in self.assignment)

    def _deliver(self, messages: List[Any]) -> None:
        for run in intake.runs(messages, lambda _: Message.partition):
            self.partition(run[0].partition()).flow.keep(run)

    # ---- the client ----

    def fetch(self, most: int, timeout: float) -> List[Message]:
        self.heard_at.append(self.now)
        until = self.now + timeout
        while not self.queue and self.now < until:
            self._advance(self.step)
        batch = [self.queue.popleft() for _ in range(min(most, len(self.queue)))]
        for message in batch:
            self._position[message.partition()] = message.offset() + 1
        self.delivered += len(batch)
        self.emptied = len(batch) < most
        if self.emptied:
            self.emptied_at.append(self.now)
        self._advance(len(batch) * 0.000001)
        return batch

    def pause(self, names: List[Tuple[str, int]]) -> None:
        self._barrier(names)
        self.paused += [number for _, number in names]

    def resume(self, names: List[Tuple[str, int]]) -> None:
        self._barrier(names)
        self.paused = [number for number in self.paused if (TOPIC, number) not in names]

    def rewind(self, name: Tuple[str, int], offset: int, *, when_resumed: bool) -> None:
        assert when_resumed and name[1] in self.paused
        self.given_back.append(name[1])
        self._position[name[1]] = self._next[name[1]] = offset

    def position(self, number: int) -> int:
        return self._position[number]

    def _barrier(self, names: List[Tuple[str, int]]) -> None:
        """What is there of them, or on its way, is of no use any more."""
        numbers = [number for _, number in names]
        kept = [message for message in self.queue if message.partition() not in numbers]
        on_its_way = [number for number in numbers if number in self._way]
        self.thrown_away += len(self.queue) - len(kept) + self._fetched * len(on_its_way)
        self.queue = deque(kept)
        for number in numbers:
            self._next[number] = self._position[number]
            self._way.pop(number, None)

    def _serve_client(self) -> None:
        for number, first in self._way.items():
            if number in self.empty:
                continue
            self.queue.extend(Message(first + n, partition=number, value=self._value) for n in range(self._fetched))
            self._next[number] = first + self._fetched
        self._way = {}
        if self.now < self._backed_off:
            return
        if len(self.queue) >= ENOUGH or len(self.queue) * len(self._value) >= self._most_bytes:
            self._backed_off = self.now + BACKOFF
            return
        wanted = [p.number for p in self.assignment if p.number not in self.paused]
        if not wanted:
            self._backed_off = self.now + 1.0  # nothing tells it of the end of a pause
            return
        most = max(1, CONSUMER_DEFAULTS["fetch.max.bytes"] // (self._fetched * len(self._value)))
        wanted = sorted(wanted, key=lambda number: (number - self._turn) % len(self._next))[:most]
        self._turn = wanted[-1] + 1 if wanted else 0
        self._way = {number: self._next[number] for number in wanted}
        self._arrives = self.now + LATENCY

    # ---- the handlers ----

    def _is_free(self, task: Any) -> bool:
        """Whether it need not wait for another one of its key. The lane is its own then."""
        number = task[5].number
        if task[0] % 2 or number not in self.lanes:
            return True
        if self._lane_is_taken.get(number):
            self.lanes[number].append(task)
            return False
        self._lane_is_taken[number] = True
        return True

    def _release(self, offset: int, number: int) -> None:
        """The next one of its key may go."""
        if not offset % 2 and number in self.lanes:
            waiting = self.lanes[number]
            self._lane_is_taken[number] = bool(waiting)
            if waiting:
                self.runnable.append(waiting.popleft())

    @property
    def idle(self) -> Machine:
        return self

    @property
    def capacity(self) -> int:
        return self._threads

    def running(self) -> List[Tuple[int, Any]]:
        return [(name, task) for _, name, task in self._running]

    def is_set(self) -> bool:
        return self._set

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while not self._set and self.now < until:
            self._advance(self.step)

    def end_one(self, partition: Partition) -> None:
        ending = next(running for running in self._running if running[2][5] is partition)
        self._running.remove(ending)
        heapq.heapify(self._running)
        offset, segment, *_rest = ending[2]
        segment.complete(offset)

    def _advance(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= (self._arrives if self._way else self._backed_off):
            self._serve_client()
        while self._running and self._running[0][0] <= self.now:
            end, _, (offset, segment, *_, partition) = heapq.heappop(self._running)
            segment.complete(offset)
            self._release(offset, partition.number)
            if self.runnable:
                self._begin(end)
            else:
                self._set = True
        while self.runnable and len(self._running) < self._threads:
            self._begin(self.now)

    def _begin(self, now: float) -> None:
        task = self.runnable.popleft()
        partition = task[5]
        seconds = self.slow.get(partition.number, self.seconds)
        self.busy += seconds
        heapq.heappush(self._running, (now + seconds, id(task), task))
