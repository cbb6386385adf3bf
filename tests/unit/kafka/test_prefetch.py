"""The client, its broker and the handlers are simulated, second by second: see `Machine`."""

from __future__ import annotations

import heapq
from collections import deque
from typing import Any, Deque, Dict, List, Tuple

import pytest

from kafka_worker.kafka.backpressure import OVERHEAD, Backpressure
from kafka_worker.kafka.prefetch import (
    AMPLE_SECONDS,
    EMPTY_SECONDS,
    FULL_SECONDS,
    LEFT_SECONDS,
    MUCH,
    PLENTY,
    SCARCE,
    SCARCE_SECONDS,
    Prefetch,
    give_back,
)
from kafka_worker.kafka.properties import CONSUMER_DEFAULTS
from kafka_worker.partitions import intake
from kafka_worker.partitions.assignment import Assignment, Partition
from kafka_worker.shared.system import memory
from tests.unit.fakes import TOPIC, Message, some_settings

LATENCY = 0.002  # of a fetch
BACKOFF = CONSUMER_DEFAULTS["fetch.queue.backoff.ms"] / 1000
ENOUGH = CONSUMER_DEFAULTS["queued.min.messages"]
MOST_BYTES = CONSUMER_DEFAULTS["queued.max.messages.kbytes"] * 1000


class Machine:
    """A process with an endless backlog: a client that fetches as librdkafka does, a broker that answers after a moment, and
    handler threads that take as long as they are told. `idle` and the client are the same object: both wait in its time."""

    def __init__(self, partitions: int, threads: int, size: int = 177, **settings: Any) -> None:
        self.now = 0.0
        self.step = 0.0002
        self.seconds = 0.005  # a task takes
        self.slow: Dict[int, float] = {}  # by partition, if it takes longer
        self._settings = some_settings(**settings)
        self._backpressure = Backpressure(self._settings, lambda: self.now)
        self.assignment = Assignment()
        for number in range(partitions):
            self.assignment.add(TOPIC, number)
        self.prefetch = Prefetch(self._settings, self._backpressure, self, lambda: self.now)  # type: ignore[arg-type]
        self._fetched = CONSUMER_DEFAULTS["fetch.message.max.bytes"] // size  # of one partition at once
        self._value = bytes(size)
        # the client
        self.queue: Deque[Message] = deque()
        self.paused: List[int] = []
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
                self.runnable.extend(intake.tasks(partition, batch, None))
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
        for run in intake.runs(messages, Message.partition):
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
        if self._way and self.now >= self._arrives:
            for number, first in self._way.items():
                self.queue.extend(Message(first + n, partition=number, value=self._value) for n in range(self._fetched))
                self._next[number] = first + self._fetched
            self._way = {}
        if self._way or self.now < self._backed_off:
            return
        if len(self.queue) >= ENOUGH or len(self.queue) * len(self._value) >= MOST_BYTES:
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

    def is_set(self) -> bool:
        return self._set

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while not self._set and self.now < until:
            self._advance(self.step)

    def end_one(self, partition: Partition) -> None:
        offset, segment = next((task[0], task[1]) for _, _, task in self._running if task[5] is partition)
        segment.complete(offset)

    def _advance(self, seconds: float) -> None:
        self.now += seconds
        self._serve_client()
        while self._running and self._running[0][0] <= self.now:
            end, _, (offset, segment, *_rest) = heapq.heappop(self._running)
            segment.complete(offset)
            if not self._begin(end):
                self._set = True
        while len(self._running) < self._threads and self._begin(self.now):
            pass

    def _begin(self, now: float) -> bool:
        """Whether there is something to do."""
        if not self.runnable:
            return False
        task = self.runnable.popleft()
        partition = task[5]
        seconds = self.slow.get(partition.number, self.seconds)
        self.busy += seconds
        heapq.heappush(self._running, (now + seconds, id(task), task))
        return True


def longest(moments: List[float]) -> float:
    """Between one and the next."""
    return max(after - before for before, after in zip(moments, moments[1:]))


@pytest.mark.parametrize(
    ("seconds", "partitions", "max_in_flight", "size"),
    [(0.001, 2, 1000, 177), (0.005, 4, 16, 177), (0.02, 8, 1000, 177), (0.1, 4, 16, 2_000), (0.1, 3, 1000, 60_000)],
)
def test_with_a_backlog_no_thread_is_idle_next_to_nothing_is_fetched_twice_and_the_client_is_heard_in_time(
    seconds: float, partitions: int, max_in_flight: int, size: int
) -> None:
    machine = Machine(partitions, threads=8, max_in_flight=max_in_flight, size=size)
    machine.seconds = seconds
    machine.run(2 * EMPTY_SECONDS)  # it begins
    began, busy = machine.now, machine.busy

    machine.run(min(3.0, max(0.4, 150 * seconds)))

    assert machine.busy - busy >= 0.97 * 8 * (machine.now - began)
    assert machine.thrown_away <= 0.1 * machine.delivered
    assert longest([*machine.heard_at, machine.now]) < LEFT_SECONDS + 0.1
    assert longest([*machine.emptied_at, machine.now]) < AMPLE_SECONDS + 0.1
    assert sum(partition.tracker.in_flight for partition in machine.assignment) <= max_in_flight
    assert machine.in_hand * (size + OVERHEAD) < 1.5 * memory.MOST_PREFETCH_BYTES


def test_nothing_is_paused_or_fetched_twice_while_room_comes_back_quickly() -> None:
    machine = Machine(1, threads=8, max_in_flight=1000)
    machine.seconds = 0.0001

    machine.run(0.1)

    assert (machine.paused, machine.thrown_away) == ([], 0)
    assert machine.delivered > 2000


def test_what_is_paused_was_taken_out_of_the_client_before_and_is_fetched_again_in_time() -> None:
    machine = Machine(1, threads=1, max_in_flight=20)
    machine.step = 0.002
    while not machine.paused:
        machine.turn()
    waiting = machine.in_hand
    while machine.paused:
        machine.turn()

    assert machine.thrown_away == 0
    assert waiting > MUCH * PLENTY
    assert 0.9 * SCARCE < machine.in_hand <= SCARCE


def test_with_seconds_of_work_in_hand_the_client_is_left_alone_longer_and_nothing_is_paused_or_fetched_twice() -> None:
    machine = Machine(16, threads=16, max_in_flight=1000)
    machine.run(1.0)
    machine.thrown_away = most = 0
    for _ in range(40):
        machine.run(0.1)
        most = max(most, machine.in_hand)

    assert most < 5 * SCARCE_SECONDS * 16 / machine.seconds
    assert (machine.paused, machine.thrown_away) == ([], 0)
    assert LEFT_SECONDS - 0.1 < longest(machine.emptied_at[1:]) < AMPLE_SECONDS + 0.1


def test_what_is_in_hand_goes_back_with_what_comes_behind_it() -> None:
    machine = Machine(1, threads=1)
    partition = machine.partition(0)
    partition.flow.keep([Message(offset, partition=0, value=b"") for offset in range(100, 110)])

    give_back(machine, partition, 110)  # type: ignore[arg-type]

    assert machine.position(0) == 100
    assert partition.flow.waiting == 0


@pytest.mark.parametrize("since", [True, False], ids=["assigned since", "paused before"])
def test_what_is_given_back_is_paused_and_comes_again_though_nothing_of_it_was_in_flight(*, since: bool) -> None:
    limit = str(memory.SUPERVISOR_BYTES + memory.LEAST_BYTES)
    machine = Machine(3, threads=8, max_in_flight=16, memory_limit=limit, size=20_000)
    stuck = machine.partition(0)
    stuck.flow.refused("it can't be stored", again=False)  # nothing of it starts
    for number in (1, 2):
        machine.pause([(TOPIC, number)])
        machine.partition(number).flow.pause()
    stuck.flow.keep([Message(offset, partition=0, value=bytes(20_000)) for offset in range(300)])
    machine.prefetch._full = True
    if not since:
        machine.pause([(TOPIC, 0)])
        stuck.flow.pause()
    machine.turn()
    stuck.flow.settled()
    machine.run(1.5)

    assert machine.given_back == [0]
    assert stuck.tracker.watermark() > 300
    assert all(machine.partition(number).tracker.watermark() > 100 for number in (1, 2))


def test_what_fills_the_memory_and_does_not_move_is_given_back_for_others_until_something_of_it_has_ended() -> None:
    limit = str(memory.SUPERVISOR_BYTES + memory.LEAST_BYTES)
    machine = Machine(8, threads=64, max_in_flight=64, memory_limit=limit, size=20_000)
    machine.slow = dict.fromkeys(range(6), 3600.0)
    for number in range(6, 8):
        machine.partition(number).flow.pause()
        machine.pause([(TOPIC, number)])
    machine.run(2.1 * FULL_SECONDS)
    of_others = [machine.partition(number).tracker.watermark() for number in (6, 7)]
    machine.run(FULL_SECONDS)
    of_others_later = [machine.partition(number).tracker.watermark() for number in (6, 7)]
    given_back = set(machine.given_back)
    again = machine.partition(min(given_back))
    rested = again.flow.waiting
    machine.end_one(again)
    machine.run(FULL_SECONDS)

    assert given_back < set(range(6))
    assert rested == 0 < again.flow.waiting
    assert all(later > earlier + 1000 for earlier, later in zip(of_others, of_others_later))


def test_a_partition_that_comes_to_nothing_leaves_the_others_all_threads_within_a_moment() -> None:
    machine = Machine(4, threads=8, max_in_flight=32)
    machine.slow = {0: 0.0}
    stuck = machine.partition(0)
    stuck.flow.refused("it can't be stored", again=False)
    machine.run(2 * EMPTY_SECONDS)
    busy, began = machine.busy, machine.now

    machine.run(0.5)

    assert machine.paused.count(0) == 1
    assert stuck.tracker.in_flight == 0
    assert machine.busy - busy >= 0.9 * 8 * (machine.now - began)


def test_no_more_waits_than_memory_allows_and_the_client_is_let_go_on_when_half_of_it_is_used_up() -> None:
    limit = str(memory.SUPERVISOR_BYTES + memory.LEAST_BYTES)
    machine = Machine(32, threads=1, max_in_flight=20, memory_limit=limit, size=1000)
    shares = memory.shares(some_settings(memory_limit=limit))
    assert shares
    bound = shares.prefetch // (1000 + OVERHEAD)
    machine.seconds, machine.step = 0.1, 0.01
    machine.run(0.9 * FULL_SECONDS)
    thrown_away = machine.thrown_away
    machine.run(0.2 * FULL_SECONDS)
    full, paused = machine.in_hand, len(machine.paused)
    for partition in machine.assignment:
        partition.flow.drop()
    machine.turn()

    assert bound * 0.9 < full < bound * 1.7
    assert thrown_away == 0
    assert (paused, len(machine.paused)) == (32, 0)
