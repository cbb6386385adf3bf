from __future__ import annotations

import pickle
from typing import Any, Optional, Tuple

import pytest

from kafka_worker.isolation.task_process import TaskDiedError
from kafka_worker.outcomes.retry import LONGEST_SECONDS, SHORTEST_SECONDS, RetryPolicy, RetrySchedule
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task, age_of, with_attempt
from kafka_worker.shared.foreign.answers import Reject, Retry
from kafka_worker.shared.foreign.errors import InvalidMessageError, UndecodableError
from tests.unit.fakes import Message, some_settings


def policy(random: float = 1.0, **changes: Any) -> RetryPolicy:
    settings = {"max_attempts": 100, "retry_backoff_seconds": 2.0, "retry_backoff_max_seconds": 60.0, **changes}
    return RetryPolicy(some_settings(**settings), lambda: random)


def task(offset: int, partition: Optional[Partition] = None, attempt: int = 1) -> Task:
    partition = partition or Partition("topic", 0)
    return offset, partition.tracker.take(offset)[0], Message(offset), b"key", attempt, partition


@pytest.mark.parametrize(("attempt", "longest"), [(1, 2.0), (2, 4.0), (5, 32.0), (6, 60.0), (99, 60.0)])
@pytest.mark.parametrize("random", [0.0, 0.5, 1.0])
def test_delay_doubles_up_to_the_longest_and_all_of_it_is_random(attempt: int, longest: float, random: float) -> None:
    assert policy(random).delay(ValueError(), attempt) == pytest.approx(max(SHORTEST_SECONDS, longest * random))


def test_a_thousandth_attempt_still_has_a_delay() -> None:
    assert policy(max_attempts=100_000).delay(ValueError(), 5000) == 60.0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TaskDiedError("killed by SIGSEGV", 0, ""), "death"),
        (Reject("never"), "rejected"),
        (InvalidMessageError("no"), "invalid"),
        (KeyError("no"), "fatal"),
        (ValueError("no"), "attempts"),
        (Retry("again"), "attempts"),
    ],
)
def test_why_there_is_no_further_attempt_is_told_in_a_word(error: Exception, reason: str) -> None:
    assert policy(fatal_errors=("KeyError",)).reason(error) == reason


def test_there_is_no_attempt_after_the_last() -> None:
    assert policy(max_attempts=3).delay(ValueError(), 2) is not None
    assert policy(max_attempts=3).delay(ValueError(), 3) is None


def test_what_is_undecodable_is_not_tried_again() -> None:
    assert policy().delay(UndecodableError(), 1) is None


def test_what_the_handler_rejects_is_not_tried_again() -> None:
    assert policy().delay(Reject("no such customer"), 1) is None


@pytest.mark.parametrize(
    ("after", "delay"),
    [(0.0, 0.0), (7.5, 7.5), (86400.0, 86400.0), (-1.0, 0.0), (None, 2.0),
     (float("inf"), LONGEST_SECONDS), (float("nan"), 0.0), ("soon", 2.0)],
)  # fmt: skip
def test_the_handler_may_say_when_to_try_again(after: Optional[float], delay: float) -> None:
    assert policy().delay(Retry("busy", after=after), 1) == delay


class WordlessRetry(Retry):
    """Says nothing to the class it inherits from."""

    def __init__(self) -> None:
        pass


def test_a_wish_without_a_word_about_time_is_one_for_the_usual_wait() -> None:
    assert policy().delay(WordlessRetry(), 1) == 2.0


@pytest.mark.parametrize(
    ("age", "delay"),
    [(0.0, 2.0), (8.0, 2.0), (8.1, None), (10.0, None), (500.0, None)],
)
def test_a_wait_that_would_end_beyond_the_greatest_age_is_not_begun(age: float, delay: Optional[float]) -> None:
    assert policy(retry_max_age_seconds=10.0).delay(ValueError(), 1, age) == delay
    assert policy(retry_max_age_seconds=10.0).delay(Retry(after=2.0), 1, age) == delay
    assert policy(retry_max_age_seconds=0.0).delay(ValueError(), 1, age) == 2.0


class RemoteError(Exception):
    """Stands for an error of another process."""

    names = ("requests.exceptions.Timeout", "builtins.OSError")


class OddError(TimeoutError):
    """Is called by no name of ours."""

    names = ("TimeoutError", 5)


@pytest.mark.parametrize(
    ("error", "retryable", "fatal", "again"),
    [
        (TimeoutError(), (), (), True),
        (TimeoutError(), ("TimeoutError",), (), True),
        (TimeoutError(), ("OSError",), (), True),  # a subclass
        (TimeoutError(), ("builtins.OSError",), (), True),
        (TimeoutError(), ("other.OSError", "ValueError"), (), False),
        (TimeoutError(), (), ("OSError",), False),
        (TimeoutError(), (), ("ConnectionError",), True),
        (ConnectionResetError(), ("OSError",), ("ConnectionError",), False),  # fatal wins
        (RemoteError(), ("requests.exceptions.Timeout",), (), True),
        (RemoteError(), ("Timeout",), (), True),
        (RemoteError(), (), ("OSError",), False),
        (RemoteError(), ("RemoteError",), (), False),
        (OddError(), ("OSError",), (), True),
        (Retry(), ("ValueError",), ("Exception", "Retry"), True),  # the handler's own word wins
        (Reject(), ("Reject",), (), False),
        (UndecodableError(), ("UndecodableError",), (), False),
    ],
)  # fmt: skip
def test_classes_say_what_is_tried_again(
    error: BaseException, retryable: Tuple[str, ...], fatal: Tuple[str, ...], again: bool
) -> None:
    delay = policy(retryable_errors=retryable, fatal_errors=fatal).delay(error, 1)

    assert (delay is not None) is again


def test_a_wish_for_another_attempt_does_not_make_more_of_them() -> None:
    assert policy(max_attempts=3).delay(Retry(after=1.0), 3) is None


def test_a_due_task_comes_back_as_its_next_attempt_and_keeps_its_lane() -> None:
    schedule, failed = RetrySchedule(), task(3)
    schedule.add(failed, 10.0, failed_at=9.0)

    early, due = schedule.due(9.99), schedule.due(10.0)

    assert early == []
    assert due == [with_attempt(failed, 2)]
    assert len(schedule) == 0


def test_an_attempt_knows_since_when_its_message_fails_and_elsewhere_is_a_number() -> None:
    schedule = RetrySchedule()
    schedule.add(task(3), 10.0, failed_at=9.0)
    (second,) = schedule.due(10.0)
    schedule.add(second, 20.0, failed_at=15.0)
    (third,) = schedule.due(20.0)

    assert [age_of(attempt, 30.0) for attempt in (1, second[4], third[4])] == [0.0, 21.0, 21.0]
    assert third[4] == 3
    assert type(pickle.loads(pickle.dumps(third[4]))) is int


def test_tasks_come_back_in_the_order_in_which_they_are_due() -> None:
    schedule = RetrySchedule()
    for offset, due in ((0, 30.0), (1, 10.0), (2, 20.0), (3, 10.0)):
        schedule.hold(task(offset), due)

    assert schedule.next_due() == 10.0
    assert [each[0] for each in schedule.due(100.0)] == [1, 3, 2, 0]
    assert schedule.next_due() is None


def test_of_a_closed_retry_topic_all_are_given_up() -> None:
    closed = Partition("topic.retry.1s", 0)
    closed.retries_of = "topic"
    closed.closing.close(50.0)
    schedule = RetrySchedule()
    schedule.hold(task(0, closed), 1.0)

    assert [each[0] for each in schedule.abandon(50.0)] == [0]
    assert len(schedule) == 0


def test_only_tasks_of_closed_partitions_that_come_too_late_are_given_up() -> None:
    closed, still_open = Partition("topic", 0), Partition("topic", 1)
    closed.closing.close(50.0)
    schedule = RetrySchedule()
    for offset, partition, due in ((0, closed, 50.0), (1, closed, 50.1), (2, still_open, 90.0), (3, closed, 70.0)):
        schedule.hold(task(offset, partition), due)

    abandoned = schedule.abandon(50.0)

    assert sorted(each[0] for each in abandoned) == [1, 3]
    assert [each[0] for each in schedule.due(100.0)] == [0, 2]
