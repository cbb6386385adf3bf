"""The limit on a model: handlers that share something downstream, or the interpreter. Time is computed, not spent."""

from __future__ import annotations

import heapq
import random
from typing import Callable, Iterator, List, Tuple

import pytest

from kafka_worker.upkeep.concurrency import ConcurrencyLimit
from kafka_worker.upkeep.samples import Sample

LOWEST, HIGHEST = 2, 32


class Model:
    """A process with a backlog. A call of `work` seconds goes on undisturbed while no more than `capacity` run; beyond
    that they share it. `core` is the share of a call that is computing, for which there is one interpreter."""

    def __init__(self, work: Callable[[], float], capacity: float = 1e9, core: float = 0.0) -> None:
        self.work, self.capacity, self.core = work, capacity, core
        self.limit = ConcurrencyLimit(LOWEST, HIGHEST)
        self.backlog = True
        self.most = float("inf")
        self.now = self._progress = self._cpu = self._seconds = 0.0
        self._ended = 0
        self._running: List[Tuple[float, float]] = []  # (progress at which it ends, when it began)

    def run(self, seconds: float) -> List[int]:
        """The limit after each second."""
        return [self._second() for _ in range(int(seconds))]

    def throughput(self, seconds: float) -> float:
        """Calls a second over so long a time."""
        before = self._ended
        self.run(seconds)
        return (self._ended - before) / seconds

    def _second(self) -> int:
        for until in self._ends(self.now + 1.0):
            self._pass(until)
            while self._running and self._running[0][0] <= self._progress + 1e-9:
                self._seconds += self.now - heapq.heappop(self._running)[1]
                self._ended += 1
        ages = sum(self.now - began for _, began in self._running)
        sample = Sample(self.now, self._ended, self._seconds, self._cpu, self._cpu, ages, len(self._running), self.backlog)
        return self.limit.take(sample, most=self.most)

    def _ends(self, end: float) -> Iterator[float]:
        while self.now < end:
            while self.backlog and len(self._running) < self.limit.threads:
                heapq.heappush(self._running, (self._progress + self.work(), self.now))
            if not self._running:
                self.now = end
                return
            yield min(end, self.now + (self._running[0][0] - self._progress) / self._speed())

    def _speed(self) -> float:
        calls = len(self._running)
        return min(1.0, self.capacity / calls, 1 / (self.core * calls) if self.core else 1.0)

    def _pass(self, until: float) -> None:
        gone = (until - self.now) * self._speed()
        self._progress += gone
        self._cpu += gone * self.core * len(self._running)
        self.now = until


@pytest.mark.parametrize(("seconds", "within"), [(0.005, 10), (0.05, 10), (0.5, 11)])
def test_while_nobody_waits_for_anybody_it_grows_to_the_maximum(seconds: float, within: int) -> None:
    limits = Model(lambda: seconds).run(within)

    assert limits == sorted(limits)
    assert (limits[0], limits[-1]) == (LOWEST, HIGHEST)


@pytest.mark.parametrize(("capacity", "most"), [(3, 6), (10, 12), (20, 23)])
def test_with_a_bottleneck_it_settles_little_above_what_that_takes_and_stays_there(capacity: int, most: int) -> None:
    model = Model(lambda: 0.05, capacity)
    model.run(60)

    limits = model.run(120)

    assert capacity <= min(limits) <= max(limits) <= most
    assert len(set(limits)) == 1
    assert model.throughput(10) == pytest.approx(capacity / 0.05, rel=0.02)


def test_calls_that_only_compute_get_no_more_threads_than_at_first() -> None:
    assert set(Model(lambda: 0.05, core=1.0).run(60)) == {LOWEST}


def test_calls_that_compute_for_a_tenth_get_as_many_threads_as_fill_the_interpreter() -> None:
    assert 9 <= Model(lambda: 0.05, core=0.1).run(60)[-1] <= 11


@pytest.mark.parametrize("capacity", [1e9, 20])
def test_calls_of_very_different_length_cost_little_of_the_throughput(capacity: float) -> None:
    chance = random.Random(1)
    model = Model(lambda: 1.0 if chance.random() < 0.05 else 0.02, capacity)
    model.run(20)

    assert model.throughput(300) > 0.85 * min(capacity, HIGHEST) / (0.05 * 1.0 + 0.95 * 0.02)


def test_calls_that_become_longer_by_themselves_have_the_threads_back_soon() -> None:
    model = Model(lambda: 0.05)
    model.run(30)
    model.work = lambda: 0.5

    limits = model.run(30)

    assert min(limits) < HIGHEST  # it had to find out
    assert set(limits[-10:]) == {HIGHEST}


def test_an_overload_downstream_takes_threads_away_and_its_end_gives_them_back() -> None:
    model = Model(lambda: 0.05)
    model.run(30)
    model.capacity = 8
    overloaded = model.run(60)[-1]
    model.capacity = 1e9

    assert 8 <= overloaded <= 16
    assert model.run(60)[-1] == HIGHEST


def test_calls_that_begin_to_compute_take_the_threads_away() -> None:
    model = Model(lambda: 0.05)
    model.run(30)
    model.core = 1.0

    assert model.run(60)[-1] == LOWEST


def test_calls_that_end_no_more_get_no_more_threads() -> None:
    model = Model(lambda: 0.5)
    model.run(5)
    model.work = lambda: 3600.0
    before = model.run(10)[-1]

    assert model.run(60)[-1] == before < HIGHEST


def test_there_is_no_growth_without_memory() -> None:
    model = Model(lambda: 0.05)
    model.most = LOWEST

    assert model.run(20)[-1] == LOWEST


@pytest.mark.parametrize(("busy", "waiting"), [(0.5, True), (1.0, False)])
def test_there_is_no_growth_while_threads_are_idle_or_no_task_waits(busy: float, waiting: bool) -> None:
    limit = ConcurrencyLimit(LOWEST, HIGHEST)
    for second in range(20):
        calls = int(20 * second * LOWEST * busy)
        limit.take(Sample(float(second), calls, calls * 0.05, 0.0, 0.0, 0.0, 1, waiting))

    assert limit.threads == LOWEST
