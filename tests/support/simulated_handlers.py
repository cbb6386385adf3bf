"""A gate with its breakers, and handler threads that take no time of ours: a simulated clock, messages some of which are
hopeless, and something that all of them depend on and that may be away for a while."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from typing import Callable, Dict, List, Sequence, Set, Tuple

from kafka_worker.gates.gates import Gates
from kafka_worker.outcomes.retry import RetryPolicy, RetrySchedule
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.queues import FirstComeFirstServed, Queue
from kafka_worker.partitions.task import Task, age_of, finish, mark_open, mark_running
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.shared.settings import Settings
from tests.unit.fakes import Message

TURN_SECONDS = 0.02
SECONDS = (0.01, 0.1)  # calls take, from and to
TOPIC = "topic"

#: When it is away: from, to (seconds).
Outage = Tuple[float, float]


class HopelessError(Exception):
    """What a handler raises that means its message: a class of the user's own, of which nothing can be known."""


class Simulation:
    """One process with one partition."""

    def __init__(
        self,
        settings: Settings,
        messages: int,
        hopeless: float,
        outages: Sequence[Outage] = (),
        seed: int = 1,
        error: Callable[[str], BaseException] = HopelessError,
    ) -> None:
        """`hopeless`: the share of messages that always fail, by `error`; `outages`: of what all depend on."""
        self._settings = settings
        self._count = messages
        self._outages = outages
        self._error = error
        self._chance = random.Random(seed)
        self.now = 0.0
        self._pool = Pool(1, lambda *_: None)
        self.gates = Gates(settings, self._pool, lambda topic: topic, lambda: self.now)
        self._partition = Partition(TOPIC, 0, FirstComeFirstServed)
        self._partition.dependencies = self.gates.dependencies
        self.hopeless = {offset for offset in range(messages) if self._chance.random() < hopeless}
        self._waiting = [Message(offset) for offset in range(messages)]
        self._running: List[Tuple[float, float, int, Task]] = []  # (end, begin, offset, task)
        self._policy = RetryPolicy(settings, self._chance.random)
        self._retries = RetrySchedule()
        self.starts: List[Tuple[int, float]] = []  # offset, and when
        self.done: Dict[int, float] = {}  # offset to when
        self.letters: Dict[int, float] = {}
        self._queues: List[Queue] = []

    def run(self, until: Callable[[], object], most: float) -> None:
        """Turn by turn, for at most so many seconds of the simulated clock."""
        while not until():
            assert self.now < most, self.account()
            self._turn()

    @property
    def finished(self) -> bool:
        """Whether all have their outcome."""
        return len(self.done) + len(self.letters) == self._count

    @property
    def share_of_good_ones_done(self) -> float:
        return len(self.done) / (self._count - len(self.hopeless))

    @property
    def innocent(self) -> Set[int]:
        """Messages that are not hopeless, and are dead letters all the same."""
        return set(self.letters) - self.hopeless

    @property
    def in_flight(self) -> Tuple[int, int]:
        """As the tracker counts them, and as they are found where tasks may be."""
        gates = self.gates._gates.values()
        found = len(self._running) + len(self._partition.queue) + len(self._retries) + sum(len(gate.aside) for gate in gates)
        return self._partition.tracker.in_flight, found

    @property
    def most_calls(self) -> int:
        """Of one message."""
        return max(Counter(offset for offset, _ in self.starts).values())

    @property
    def opened_times(self) -> int:
        return sum(report.opened_times for report in self.gates.reports(self.now))

    def account(self) -> str:
        states = {report.name: report.state for report in self.gates.reports(self.now)}
        return (
            f"{self.now:.1f} s: {len(self.done)} done, {len(self.letters)} dead letters, {len(self.starts)} calls, "
            f"{states}"
        )  # fmt: skip

    def away(self, moment: float) -> bool:
        return any(since <= moment < until for since, until in self._outages)

    def _turn(self) -> None:
        self.now += TURN_SECONDS
        self._end_calls()
        for task in self._retries.due(self.now):
            if not self.gates.set_aside(task):
                self._partition.queue.put(task)
        self._deliver()
        if self.gates.turn([self._partition], self.now) or not self._queues:
            self._queues = self.gates.queues([self._partition])
        self._start_calls()

    def _deliver(self) -> None:
        room = self._settings.max_in_flight - self._partition.tracker.in_flight
        batch, self._waiting = self._waiting[:room], self._waiting[max(0, room) :]
        for message in batch:
            segment, _ = self._partition.tracker.take(message.offset())
            self._partition.queue.extend([(message.offset(), segment, message, None, 1, self._partition)])

    def _start_calls(self) -> None:
        for queue in self._queues:
            while len(self._running) < self._settings.threads:
                try:
                    task = queue.pop()
                except IndexError:
                    break
                mark_running(task)
                end = self.now + self._chance.uniform(*SECONDS)
                self.starts.append((task[0], self.now))
                heapq.heappush(self._running, (end, self.now, task[0], task))

    def _end_calls(self) -> None:
        while self._running and self._running[0][0] <= self.now:
            _end, began, offset, task = heapq.heappop(self._running)
            if self.away(began):
                self._fail(task, ConnectionError("refused"))
            elif offset in self.hopeless:
                self._fail(task, self._error(f"message {offset}"))
            else:
                finish(task)
                self._pool.threads[0].count(TOPIC, 1, 0, 0.0)
                self.done[offset] = self.now

    def _fail(self, task: Task, error: BaseException) -> None:
        mark_open(task)
        age = age_of(task[4], self.now)
        delay = self._policy.delay(error, task[4], age)
        if self.gates.excuse(task, error, self.now, last=delay is None):
            return
        if delay is None:
            finish(task)
            self.letters[task[0]] = self.now
        else:
            self._retries.add(task, self.now + delay, self.now)
