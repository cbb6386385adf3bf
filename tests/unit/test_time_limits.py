from __future__ import annotations

from typing import List, Optional, Tuple

import pytest

from tests.unit.fakes import Message
from worker.assignment import Partition
from worker.context import Context
from worker.lanes import Task
from worker.pool import HandlerThread
from worker.time_limits import TimeLimits


class Calls:
    """What runs, in threads of our making. The soft limit is 10 s, the hard one 30 s."""

    def __init__(self, soft: float = 10.0, hard: float = 30.0) -> None:
        self.limits = TimeLimits(soft, hard)
        self.partition = Partition("topic", 0)
        self.segment = self.partition.tracker.take(0, 100)[0]
        self.threads: List[HandlerThread] = []

    def begin(self, offset: int, at: float, thread: Optional[HandlerThread] = None) -> HandlerThread:
        thread = thread or HandlerThread("handler-%d" % len(self.threads))
        if thread not in self.threads:
            self.threads.append(thread)
        thread.started, thread.task = at, (offset, self.segment, Message(offset), None, 1)
        return thread

    def look(self, now: float) -> List[Tuple[int, bool]]:
        running: List[Tuple[HandlerThread, Task]] = [(each, each.task) for each in self.threads if each.task is not None]
        return [(overrun.task[0], overrun.hard) for overrun in self.limits.look(running, now)]

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
    calls.partition.close(120.0)
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
    calls = Calls()
    thread = calls.begin(5, at=100.0)

    assert calls.look(1000.0) == [(5, True)]
    assert thread.hung == [thread.task]
