from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Iterator, List

import pytest

from kafka_worker.isolation import isolated
from kafka_worker.partitions.assignment import Partition
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.recovery import suspects_file
from kafka_worker.recovery.suspects_file import SuspectsFile
from kafka_worker.shared.system import locks, runtime_files
from kafka_worker.upkeep.time_limits import LONGEST_LOOK, TimeLimits
from tests.support.ending import started
from tests.support.eventually import eventually
from tests.unit.fakes import Message, some_settings


class Hang:
    """A pool of which one thread hangs."""

    def __init__(self, pool: Pool, **changes: Any) -> None:
        self.pool = pool
        self.settings = some_settings(**changes)
        self.suspects = SuspectsFile(self.settings if "state_directory" in changes else None)
        self.partition = Partition("topic", 3)
        self.passed = 0.0
        self.limits = TimeLimits(self.settings, pool.running, self.suspects, lambda: time.monotonic() + self.passed)

    def begin(self) -> None:
        segment, _ = self.partition.tracker.take(7)
        pool = self.pool
        pool.serve([self.partition.queue])
        self.partition.queue.extend([(7, segment, Message(7, b"key", b"secret"), None, 2, self.partition)])
        pool.wake(1)
        eventually(pool.running, 5, "the task runs")

    def looks(self) -> List[bool]:
        """Through a minute, which is longer than both limits of these tests."""
        seen = []
        for _ in range(120):
            self.passed += LONGEST_LOOK
            seen.append(self.limits.check())
        return seen


@pytest.fixture
def pool() -> Iterator[Pool]:
    release = threading.Event()

    def hangs_here(*_: Any) -> None:
        release.wait(10)

    with started(Pool(1, hangs_here)) as made:
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
    assert "in hangs_here" in str(vars(record)["stack"])
    assert "secret" not in record.getMessage() + str(vars(record)["stack"])
    told = {field: vars(record).get(field) for field in ("event", "topic", "partition", "offset", "attempt")}
    assert told == {"event": "task-late", "topic": "topic", "partition": 3, "offset": 7, "attempt": 2}
    assert (0, 7) in hang.partition.overdue
    assert hang.suspects.known == {}


def test_a_handler_that_hangs_makes_its_message_a_suspect_and_has_the_process_replaced(
    pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    hang = Hang(pool, handler_timeout_seconds=10.0, handler_kill_seconds=30.0)
    hang.begin()

    assert hang.looks().count(True) == 1

    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
    assert "in hangs_here" in str(vars(caplog.records[1])["stack"])
    assert hang.suspects.known["topic", 3, 7].how == "ran for longer than HANDLER_KILL_SECONDS = 30"


def test_what_is_parked_is_not_told_as_late(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    hang = Hang(pool, handler_timeout_seconds=10.0)
    hang.begin()
    hang.partition.void.add(7)

    assert not any(hang.looks())
    assert caplog.records == []


@pytest.mark.parametrize(("of_service", "of_topic", "told"), [(0.0, 10.0, 1), (10.0, 0.0, 0)])
def test_limits_are_those_of_the_topic(
    pool: Pool, caplog: pytest.LogCaptureFixture, of_service: float, of_topic: float, told: int
) -> None:
    own = {"topic": {"handler_timeout_seconds": of_topic}}
    hang = Hang(pool, handler_timeout_seconds=of_service, topic_tables=own)
    hang.begin()

    hang.looks()

    assert len(caplog.records) == told


def test_without_limits_nothing_is_looked_at(pool: Pool) -> None:
    hang = Hang(pool)
    hang.limits._running = lambda: pytest.fail("looked")

    assert not any(hang.looks())


def test_what_runs_in_task_processes_is_told_of_without_a_stack_and_given_up_by_others(
    pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    hang = Hang(pool, handler_timeout_seconds=10.0, handler_kill_seconds=30.0, isolation="process")
    hang.begin()

    assert not any(hang.looks())
    assert [(record.levelname, vars(record).get("stack")) for record in caplog.records] == [("WARNING", None)]


def test_the_time_limit_begins_with_the_call_and_not_with_the_start_of_its_task_process(
    pool: Pool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = SimpleNamespace(has_task=False)
    monkeypatch.setattr(isolated, "_PROCESSES", {"handler-0": process})
    hang = Hang(pool, handler_timeout_seconds=10.0, isolation="process")
    hang.begin()

    hang.looks()
    early = [record.getMessage() for record in caplog.records]
    process.has_task = True
    hang.looks()

    assert early == []
    assert caplog.messages[0].startswith("topic[3] offset 7, running for 10.")


def test_a_thousand_calls_that_hang_at_once_are_one_change_of_what_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each costs milliseconds, and the main thread has heartbeats to send."""
    settings, now, changes = some_settings(handler_kill_seconds=30.0, state_directory=str(tmp_path)), 0.0, 0
    suspects, partition, write = SuspectsFile(settings), Partition("topic", 3), runtime_files.replace
    segment, _ = partition.tracker.take(0, 1000)
    running = [(HandlerThread("c"), (offset, segment, Message(offset), None, 1, partition)) for offset in range(1000)]
    limits = TimeLimits(settings, lambda: running, suspects, lambda: now)

    def counted(path: str, text: str) -> None:
        nonlocal changes
        changes += 1
        write(path, text)

    monkeypatch.setattr(runtime_files, "replace", counted)
    looks = []
    for look in range(100):
        now = look * LONGEST_LOOK
        looks.append(limits.check())

    assert (looks.count(True), changes) == (1, 1)
    assert set(suspects.read()) == {("topic", 3, offset) for offset in range(1000)}


def test_a_process_is_not_replaced_for_a_call_that_hangs_before_it_is_written_down_whose_fault_that_is(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suspects_file, "LOCK_SECONDS", 0.0)
    hang = Hang(pool, handler_kill_seconds=30.0, state_directory=str(tmp_path))
    hang.suspects.blame([], "")
    (file,) = tmp_path.glob("*/" + suspects_file.NAME)
    lock = locks.Lock(str(file) + ".lock")
    lock.acquire()  # as a process that was stopped in the middle of a change
    hang.begin()
    kept = hang.looks()
    lock.release()

    assert kept.count(True) == 0
    assert hang.looks().count(True) == 1
    assert set(SuspectsFile(hang.settings).read()) == {("topic", 3, 7)}
