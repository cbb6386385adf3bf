"""Calls that last for seconds, on a model: phases in which they compute, for which there is one interpreter, and phases in
which they wait, for something that serves so many at once. Time is computed, not spent."""

from __future__ import annotations

import random
from typing import Callable, Dict, List, Tuple

import pytest

from kafka_worker.upkeep.concurrency import ConcurrencyLimit
from kafka_worker.upkeep.samples import Sample

LOWEST, HIGHEST = 2, 32
LOOK_SECONDS = 0.5  # between two heartbeats
COMPUTES, WAITS = "computes", "waits"

Phases = List[Tuple[str, float]]


def waits(seconds: float) -> Phases:
    return [(WAITS, seconds)]


def computes(seconds: float) -> Phases:
    return [(COMPUTES, seconds)]


class Process:
    """A process with so many messages to handle. `granted`: the part of a core that the machine gives it."""

    def __init__(self, call: Callable[[], Phases], messages: float = 1e9, served: float = 1e9, granted: float = 1.0) -> None:
        self.call, self.messages, self.served, self.granted = call, messages, served, granted
        self.limit = ConcurrencyLimit(LOWEST, HIGHEST)
        self.most = float("inf")
        self.now = self.done_at = 0.0
        self.ended = 0
        self._seconds = self._cpu = self._wanted = 0.0
        self._calls: List[Tuple[float, Phases]] = []  # when it began, what is left of it

    def run(self, seconds: float) -> List[int]:
        """The limit after each look."""
        return [self._look() for _ in range(int(seconds / LOOK_SECONDS))]

    def throughput(self, seconds: float) -> float:
        """Calls a second over so long a time."""
        before = self.ended
        self.run(seconds)
        return (self.ended - before) / seconds

    def _look(self) -> int:
        until = self.now + LOOK_SECONDS
        self._start()
        while self.now < until:
            self._pass(until)
            self._end()
            self._start()
        ages = sum(self.now - began for began, _ in self._calls)
        sample = Sample(
            self.now, self.ended, self._seconds, self._cpu, self._wanted, ages, len(self._calls), self.messages > 0
        )  # fmt: skip
        return self.limit.take(sample, most=self.most)

    def _start(self) -> None:
        while self.messages and len(self._calls) < self.limit.threads:
            self.messages -= 1
            self._calls.append((self.now, list(self.call())))

    def _pass(self, until: float) -> None:
        kinds = [phases[0][0] for _, phases in self._calls]
        computing, waiting = kinds.count(COMPUTES), kinds.count(WAITS)
        speeds: Dict[str, float] = {
            COMPUTES: self.granted / max(1, computing), WAITS: min(1.0, self.served / max(1, waiting)),
        }  # fmt: skip
        left = [phases[0][1] / speeds[phases[0][0]] for _, phases in self._calls]
        seconds = min([until - self.now, *left])
        for _, phases in self._calls:
            kind, work = phases[0]
            phases[0] = (kind, work - seconds * speeds[kind])
        self.now = until if seconds >= until - self.now else self.now + seconds
        self._cpu += seconds * self.granted * (computing > 0)
        self._wanted += seconds * (computing > 0)

    def _end(self) -> None:
        for call in list(self._calls):
            began, phases = call
            if phases[0][1] < 1e-9:
                del phases[0]
            if not phases:
                self._calls.remove(call)
                self.ended, self.done_at = self.ended + 1, self.now
                self._seconds += self.now - began


def test_sixteen_calls_of_five_seconds_take_little_longer_than_one() -> None:
    process = Process(lambda: waits(5.0), messages=16)
    limits = process.run(20)

    assert process.done_at <= 7.5
    assert max(limits) == 16


@pytest.mark.parametrize("seconds", [5.0, 60.0, 3600.0])
def test_long_calls_that_wait_have_all_threads_while_the_first_still_run(seconds: float) -> None:
    assert Process(lambda: waits(seconds)).run(3)[-1] == HIGHEST


@pytest.mark.parametrize("seconds", [0.7, 1.0, 1.5])
def test_calls_of_a_second_have_all_threads_soon(seconds: float) -> None:
    assert Process(lambda: waits(seconds)).run(10)[-1] == HIGHEST


@pytest.mark.parametrize("granted", [1.0, 0.2])
@pytest.mark.parametrize("seconds", [0.05, 0.5, 1.0, 5.0, 20.0])
def test_calls_that_compute_stay_few_on_a_busy_machine_too(seconds: float, granted: float) -> None:
    assert max(Process(lambda: computes(seconds), granted=granted).run(120)) <= 4


def test_calls_that_compute_for_half_of_their_time_get_few_threads() -> None:
    in_one_piece = Process(lambda: [*computes(2.5), *waits(2.5)]).run(200)
    in_slices = Process(lambda: [*waits(0.1), *computes(0.1)] * 25).run(200)

    assert max(in_one_piece) <= 4
    assert max(in_slices) <= 8
    assert max(in_slices[-200:]) <= 5  # two are enough, and with three nearly always one of them computes


def test_calls_that_compute_first_and_wait_then_get_as_many_threads_as_keep_the_interpreter_busy() -> None:
    process = Process(lambda: [*computes(1.0), *waits(4.0)])

    assert max(process.run(60)) <= 8
    assert process.throughput(240) > 0.6  # of one a second, which takes five threads all the time


def test_calls_that_begin_to_compute_late_are_few_once_one_has_ended() -> None:
    process = Process(lambda: [*waits(2.5), *computes(2.5)])
    assert process.run(70)[5] == HIGHEST  # nobody could know

    assert max(process.run(240)) <= 6


def test_one_long_call_among_quick_ones_holds_up_nothing() -> None:
    chance = random.Random(1)
    process = Process(lambda: waits(10.0 if chance.random() < 0.01 else 0.05))

    assert process.run(10)[-1] == HIGHEST
    assert process.throughput(200) > 0.85 * HIGHEST / (0.01 * 10.0 + 0.99 * 0.05)


def test_when_long_calls_hold_all_threads_there_are_others_for_the_quick_ones_within_a_second() -> None:
    calls = [waits(0.05)] * 100 + [waits(3600.0)] * LOWEST
    process = Process(lambda: calls.pop(0) if calls else waits(0.05))
    while calls:
        process.run(LOOK_SECONDS)

    assert process.throughput(10) > LOWEST / 0.05


def test_what_was_learnt_of_quick_calls_holds_up_no_longer_ones_that_follow() -> None:
    process = Process(lambda: waits(0.05), messages=30)
    process.run(20)
    process.call, process.messages = lambda: waits(5.0), 16
    began = process.now
    process.run(20)

    assert process.done_at - began <= 8.0


@pytest.mark.parametrize(("served", "most"), [(3, 6), (10, 13), (20, 24)])
@pytest.mark.parametrize("seconds", [1.0, 5.0])
def test_what_calls_long_for_its_size_settles_little_above_what_it_takes(seconds: float, served: int, most: int) -> None:
    process = Process(lambda: waits(seconds), served=served)
    process.run(240)

    limits = process.run(240)

    assert served <= min(limits) <= max(limits) <= most
    assert process.throughput(60) == pytest.approx(served / seconds, rel=0.1)


@pytest.mark.parametrize("seconds", [5.0, 20.0])
def test_whether_threads_are_worth_having_is_tried_once_with_half_of_them(seconds: float) -> None:
    process = Process(lambda: waits(seconds))

    assert min(process.run(10 * seconds)[6:]) == HIGHEST / 2
    assert set(process.run(300)) == {HIGHEST}


def test_calls_of_minutes_are_never_tried_with_fewer_threads() -> None:
    limits = Process(lambda: waits(120.0)).run(500)

    assert limits == sorted(limits)


def test_there_are_no_more_threads_than_there_is_memory_for() -> None:
    process = Process(lambda: waits(5.0))
    process.most = 5.5

    assert max(process.run(60)) == 5


def test_on_many_processes_a_core_each_has_its_part_of_it() -> None:
    process = Process(lambda: [*computes(0.1), *waits(0.4)] * 10)
    process.limit = ConcurrencyLimit(LOWEST, HIGHEST, core=0.25)

    assert max(process.run(20)) == LOWEST
