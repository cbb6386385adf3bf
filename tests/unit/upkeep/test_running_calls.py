from __future__ import annotations

import math
from typing import List, Optional, Tuple

import pytest

from kafka_worker.handler.context import Context
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.upkeep.time_limits import LONGEST_LOOK, Limits, RunningCalls
from tests.unit.fakes import Message


class Calls:
    """What runs, in threads of our making. The soft limit is 10 s, the hard one 30 s."""

    def __init__(self, soft: float = 10.0, hard: float = 30.0) -> None:
        self.now = 99.0
        self.running = RunningCalls({"topic": Limits(soft, hard)}, self.now)
        self.partition = Partition("topic", 0)
        self.segment = self.partition.tracker.take(0, 100)[0]
        self.threads: List[HandlerThread] = []

    def begin(self, offset: int, at: float, thread: Optional[HandlerThread] = None) -> HandlerThread:
        thread = thread or HandlerThread(f"handler-{len(self.threads)}")
        if thread not in self.threads:
            self.threads.append(thread)
        thread.started, thread.task = at, (offset, self.segment, Message(offset), None, 1, self.partition)
        return thread

    def look(self, now: float) -> List[Tuple[int, bool]]:
        """Awake until `now`, with a look again and again; what was found."""
        times = [self.now + n * LONGEST_LOOK for n in range(1, math.ceil((now - self.now) / LONGEST_LOOK))]
        return [overrun for time in [*times, now] for overrun in self.look_once(time)]

    def look_once(self, now: float) -> List[Tuple[int, bool]]:
        """Not awake in between."""
        self.now = now
        running: List[Tuple[HandlerThread, Task]] = [
            (each, each.task) for each in self.threads if each.task is not None and each.started <= now
        ]
        return [(overrun.task[0], overrun.hard) for overrun in self.running.overruns(running, now)]

    def context(self, offset: int) -> Context:
        return Context(Message(offset), self.partition, 1)


def test_each_limit_is_noticed_once() -> None:
    calls = Calls()
    calls.begin(5, at=100.0)
    calls.begin(6, at=108.0)

    seen = {now: calls.look(now) for now in (109.9, 110.0, 111.0, 118.0, 129.9, 130.0, 131.0, 138.0, 200.0)}

    assert {now: found for now, found in seen.items() if found} == {
        110.0: [(5, False)], 118.0: [(6, False)], 130.0: [(5, True)], 138.0: [(6, True)],
    }  # fmt: skip


def test_a_call_past_the_first_limit_is_told_so_and_until_when_and_its_neighbours_are_not() -> None:
    calls = Calls()
    calls.begin(5, at=100.0)
    calls.begin(6, at=105.0)
    calls.look(111.0)

    assert (calls.context(5).cancelled, calls.context(5).deadline) == (True, 130.0)
    assert (calls.context(6).cancelled, calls.context(6).deadline) == (False, None)
    calls.partition.closing.close(120.0)
    assert calls.context(5).deadline == 120.0


def test_without_a_second_limit_there_is_no_deadline() -> None:
    calls = Calls(hard=0.0)
    calls.begin(5, at=100.0)

    assert calls.look(1000.0) == [(5, False)]
    assert (calls.context(5).cancelled, calls.context(5).deadline) == (True, None)


def test_the_next_call_of_a_thread_and_the_next_attempt_of_a_message_have_all_their_time() -> None:
    calls = Calls()
    thread = calls.begin(5, at=100.0)
    calls.look(111.0)
    calls.begin(5, at=111.0, thread=thread)
    first = calls.look(112.0)
    told = calls.context(5).cancelled

    assert (first, told) == ([], False)
    assert calls.look(121.0) == [(5, False)]


def test_what_has_ended_is_forgotten() -> None:
    calls = Calls()
    thread = calls.begin(5, at=100.0)
    calls.look(111.0)
    thread.task = None
    calls.look(112.0)

    assert calls.partition.overdue == {}


@pytest.mark.parametrize(("soft", "expected"), [(10.0, [(5, False)]), (0.0, [])])
def test_a_task_process_has_its_second_limit_kept_elsewhere(soft: float, expected: List[Tuple[int, bool]]) -> None:
    calls = Calls(soft=soft)
    calls.begin(5, at=100.0).apart = True

    assert calls.look(1000.0) == expected
    assert calls.look(2000.0) == []


def test_a_call_that_is_found_past_both_limits_at_once_is_given_up() -> None:
    calls = Calls(soft=30.0)
    thread = calls.begin(5, at=100.0)

    assert calls.look(130.0) == [(5, True)]
    assert list(thread.hung.values()) == [thread.task]


@pytest.mark.parametrize("frozen", [20.0, 3600.0])
def test_a_process_that_was_frozen_gives_up_no_call_that_did_not_have_its_time_awake(frozen: float) -> None:
    calls = Calls(soft=10.0, hard=15.0)
    calls.begin(5, at=100.0)
    calls.begin(6, at=105.5)  # between the last look before and the first one after
    before = calls.look(105.0)

    awake = 105.0 + frozen
    woken = calls.look_once(awake)
    calls.begin(7, at=awake)
    told, given_up = calls.look(awake + 6.0), calls.look(awake + 11.0)

    assert (before, woken, told, sorted(given_up)) == ([], [], [(5, False)], [(5, True), (6, False), (7, False)])
    assert calls.context(6).deadline == pytest.approx(awake + 15.0, abs=2 * LONGEST_LOOK)


def test_whoever_is_frozen_again_and_again_counts_only_what_lies_between() -> None:
    calls = Calls(soft=0.0, hard=15.0)
    calls.begin(5, at=100.0)

    assert [calls.look_once(100.0 + n * 20.0) for n in range(1, 30)] == [[]] * 29


def test_the_same_task_taken_anew_is_another_call() -> None:
    """What failed while a breaker was not closed comes again as the task that it was."""
    calls = Calls()
    thread = calls.begin(5, at=100.0)
    task = thread.task
    first = calls.look(111.0)
    thread.started, thread.task = 111.2, task
    again = calls.look(111.5), calls.context(5).cancelled

    assert (first, again) == ([(5, False)], ([], False))
    assert calls.look(122.0) == [(5, False)]
