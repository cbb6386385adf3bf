from __future__ import annotations

import threading
import time
from typing import Any, Iterator, List

import pytest

from tests.support.eventually import eventually
from tests.unit.fakes import Message, some_settings, started
from worker.assignment import Partition
from worker.pool import Pool
from worker.suspects_file import SuspectsFile
from worker.time_keeper import TimeKeeper


class Hang:
    """A pool of which one thread hangs."""

    def __init__(self, pool: Pool, **changes: Any) -> None:
        self.pool = pool
        self.suspects = SuspectsFile(None)
        self.partition = Partition("topic", 3)
        self.passed = 0.0
        self.keeper = TimeKeeper(some_settings(**changes), pool.running, self.suspects, lambda: time.monotonic() + self.passed)

    def begin(self) -> None:
        segment, _ = self.partition.tracker.take(7)
        pool = self.pool
        pool.serve([self.partition.queue])
        self.partition.queue.extend([(7, segment, Message(7, b"key", b"secret"), None, 2)])
        pool.wake(1)
        eventually(pool.running, 5, "the task runs")

    def looks(self) -> List[bool]:
        """Through a minute, which is longer than both limits of these tests."""
        seen = []
        for self.passed in range(60):
            seen.append(self.keeper.look())
        return seen


@pytest.fixture
def pool() -> Iterator[Pool]:
    release = threading.Event()

    def hangs_here(*_: Any) -> None:
        release.wait(10)

    with started(1, hangs_here) as made:
        yield made
        release.set()


def test_a_handler_that_takes_too_long_is_named_once_with_its_stack_and_without_its_message(
    pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    hang = Hang(pool, handler_timeout_seconds=10.0)
    hang.begin()

    assert not any(hang.looks())

    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith("topic[3] offset 7, running for 10.")
    assert "in handler-0 (attempt 2): longer than HANDLER_TIMEOUT_SECONDS = 10" in record.getMessage()
    assert "in hangs_here" in str(record.stack_info)
    assert "secret" not in record.getMessage() + str(record.stack_info)
    assert (0, 7) in hang.partition.overdue
    assert hang.suspects.known == {}


def test_a_handler_that_hangs_makes_its_message_a_suspect_and_has_the_process_replaced(
    pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    hang = Hang(pool, handler_timeout_seconds=10.0, handler_kill_seconds=30.0)
    hang.begin()

    assert hang.looks().count(True) == 1

    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
    assert "in hangs_here" in str(caplog.records[1].stack_info)
    assert hang.suspects.known["topic", 3, 7].how == "ran for longer than HANDLER_KILL_SECONDS = 30"


def test_without_limits_nothing_is_looked_at(pool: Pool) -> None:
    hang = Hang(pool)
    hang.keeper._running = lambda: pytest.fail("looked")

    assert not any(hang.looks())


def test_what_runs_in_task_processes_is_told_of_without_a_stack_and_given_up_by_others(
    pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    hang = Hang(pool, handler_timeout_seconds=10.0, handler_kill_seconds=30.0, isolation="process")
    hang.begin()

    assert not any(hang.looks())
    assert [(record.levelname, record.stack_info) for record in caplog.records] == [("WARNING", None)]
