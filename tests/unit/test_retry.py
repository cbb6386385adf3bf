from __future__ import annotations

from typing import Optional

import pytest

from service.outcomes import Reject, Retry
from tests.unit.fakes import Message
from worker.assignment import Partition
from worker.decoding import UndecodableError
from worker.lanes import Lane, Task
from worker.retry import RetryPolicy, RetrySchedule


def policy(random: float = 1.0, attempts: int = 100) -> RetryPolicy:
    return RetryPolicy(attempts, 2.0, 60.0, lambda: random)


def task(offset: int, partition: Optional[Partition] = None, attempt: int = 1) -> Task:
    segment, _ = (partition or Partition("topic", 0)).tracker.take(offset)
    return offset, segment, Message(offset), Lane(), attempt


@pytest.mark.parametrize(("attempt", "longest"), [(1, 2.0), (2, 4.0), (5, 32.0), (6, 60.0), (99, 60.0)])
@pytest.mark.parametrize("random", [0.0, 0.5, 1.0])
def test_delay_doubles_up_to_the_longest_and_half_of_it_is_random(attempt: int, longest: float, random: float) -> None:
    assert policy(random).delay(ValueError(), attempt) == pytest.approx(longest * (0.5 + random / 2))


def test_a_thousandth_attempt_still_has_a_delay() -> None:
    assert policy(attempts=100_000).delay(ValueError(), 5000) == 60.0


def test_there_is_no_attempt_after_the_last() -> None:
    assert policy(attempts=3).delay(ValueError(), 2) is not None
    assert policy(attempts=3).delay(ValueError(), 3) is None


def test_what_is_undecodable_is_not_tried_again() -> None:
    assert policy().delay(UndecodableError(), 1) is None


def test_what_the_handler_rejects_is_not_tried_again() -> None:
    assert policy().delay(Reject("no such customer"), 1) is None


@pytest.mark.parametrize(("after", "delay"), [(0.0, 0.0), (7.5, 7.5), (86400.0, 86400.0), (-1.0, 0.0), (None, 2.0)])
def test_the_handler_may_say_when_to_try_again(after: Optional[float], delay: float) -> None:
    assert policy().delay(Retry("busy", after=after), 1) == delay


def test_a_wish_for_another_attempt_does_not_make_more_of_them() -> None:
    assert policy(attempts=3).delay(Retry(after=1.0), 3) is None


def test_a_due_task_comes_back_as_its_next_attempt_and_keeps_its_lane() -> None:
    schedule, failed = RetrySchedule(), task(3)
    schedule.add(failed, 10.0)

    early, due = schedule.due(9.99), schedule.due(10.0)

    assert early == []
    assert due == [(*failed[:4], 2)]
    assert len(schedule) == 0


def test_tasks_come_back_in_the_order_in_which_they_are_due() -> None:
    schedule = RetrySchedule()
    for offset, due in ((0, 30.0), (1, 10.0), (2, 20.0), (3, 10.0)):
        schedule.add(task(offset), due)

    assert schedule.next_due() == 10.0
    assert [each[0] for each in schedule.due(100.0)] == [1, 3, 2, 0]
    assert schedule.next_due() is None


def test_only_tasks_of_closed_partitions_that_come_too_late_are_given_up() -> None:
    closed, still_open = Partition("topic", 0), Partition("topic", 1)
    closed.close(50.0)
    schedule = RetrySchedule()
    for offset, partition, due in ((0, closed, 50.0), (1, closed, 50.1), (2, still_open, 90.0), (3, closed, 70.0)):
        schedule.add(task(offset, partition), due)

    given_up = schedule.give_up(50.0)

    assert sorted(each[0] for each in given_up) == [1, 3]
    assert [each[0] for each in schedule.due(100.0)] == [0, 2]
