from __future__ import annotations

import threading
from typing import Any, Callable, List, Optional, cast

import pytest

from kafka_worker.handler.loading import Kind
from kafka_worker.isolation import isolated
from kafka_worker.isolation.isolated import Isolated, handlers_of
from kafka_worker.isolation.task_process import TaskProcess
from kafka_worker.partitions.assignment import Partition
from tests.unit.fakes import Message, some_settings

PARTITION = Partition("topic", 0)


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever ends all task processes later in this process has nothing to do with these."""
    monkeypatch.setattr(isolated, "_PROCESSES", {})


class Recorded:
    """In the place of a TaskProcess."""

    made: List[Recorded]

    def __init__(self, _settings: Any, slot: int, name: str) -> None:
        self.name = f"{slot} {name}"
        self.started = False
        self.made.append(self)

    def start(self) -> None:
        self.started = True

    def run(
        self, _message: Any, _partition: Partition, _attempt: int, kill_after: Optional[float], cancelled: Callable[[], bool]
    ) -> Any:
        return self.name, kill_after, cancelled()


def calls_apart(**changes: Any) -> Isolated:
    Recorded.made = []
    return Isolated(some_settings(isolation="process", **changes), 3, cast("Callable[..., TaskProcess]", Recorded))


def in_thread(name: str, call: Callable[[], Any]) -> Any:
    answers: List[Any] = []
    thread = threading.Thread(target=lambda: answers.append(call()), name=name)
    thread.start()
    thread.join()
    return answers[0]


def test_each_thread_has_a_process_of_its_own_by_its_name() -> None:
    call = calls_apart()
    call.start("handler-0")

    names = [in_thread(name, lambda: call(Message(0), PARTITION, 1)[0]) for name in ("handler-1", "handler-0", "handler-1")]

    assert names == ["3 handler-1", "3 handler-0", "3 handler-1"]
    assert [(process.name, process.started) for process in Recorded.made] == [("3 handler-0", True), ("3 handler-1", False)]


def test_limits_of_zero_are_none() -> None:
    assert calls_apart()(Message(0), PARTITION, 1)[1:] == (None, False)


def test_a_task_is_killed_and_cancelled_by_the_limits_of_the_settings() -> None:
    call, partition = calls_apart(handler_kill_seconds=2.0, handler_timeout_seconds=1.0), Partition("topic", 0)
    partition.overdue[0, 7] = None  # as the time keeper says it

    assert call(Message(0), partition, 1)[1:] == (2.0, False)
    assert call(Message(7), partition, 1)[1:] == (2.0, True)


def test_a_task_is_killed_by_the_limit_of_its_topic() -> None:
    call = calls_apart(handler_kill_seconds=2.0, topic_tables={"topic": {"handler_kill_seconds": 5.0}})

    assert [call(Message(0), Partition(topic, 0), 1)[1] for topic in ("topic", "other")] == [5.0, 2.0]


def test_without_isolation_the_handler_is_called_in_our_own_process() -> None:
    handlers = handlers_of(some_settings(handler="builtins:repr"), 0)

    assert handlers.call_of_kind(Kind.THREAD)(Message(0, value=b"7"), PARTITION, 1) == "7"
