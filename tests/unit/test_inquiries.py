"""What a process says when it is asked where its code is, and what becomes of a message."""

from __future__ import annotations

import threading
from concurrent import futures
from types import SimpleNamespace
from typing import Any, Dict, List, Optional, cast

import pytest

from kafka_worker.inquiries import MOST_TASKS, WAIT_SECONDS, Inquiries
from kafka_worker.isolation import isolated
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task, TaskId
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.shared.ipc.snapshot import HeadReport, Waits, as_json
from tests.unit.fakes import Message

PLACE = ("orders", 3, 120)
KEPT = HeadReport(120, Waits.BEHIND_ITS_KEY, 0.0)


class Loop:
    """In the place of the consumer loop."""

    def __init__(self) -> None:
        self.tasks: List[Any] = []
        self.sought: Dict[TaskId, futures.Future[Optional[HeadReport]]] = {}

    def shown(self) -> List[Any]:
        return self.tasks

    def seek(self, place: TaskId) -> futures.Future[Optional[HeadReport]]:
        return self.sought.setdefault(place, futures.Future())

    def run(self, topic: str, partition: int, offset: int, started: float) -> None:
        thread = HandlerThread(f"handler-{len(self.tasks)}")
        thread.started, thread.ident = started, threading.get_ident()
        of = Partition(topic, partition)
        task: Task = (offset, of.tracker.take(offset)[0], Message(offset), None, 2, of)
        self.tasks.append((thread, task))


class Bench:
    def __init__(self) -> None:
        self.now = 100.0
        self.loop = Loop()
        self._inquiries = Inquiries(lambda: self.now)

    def asks(self, number: int, question: Dict[str, Any]) -> None:
        self._inquiries.ask(number, question, cast("Any", self.loop))

    def answers(self) -> List[Dict[str, Any]]:
        return self._inquiries.answers(cast("Any", self.loop))

    def ask(self, **question: Any) -> Dict[str, Any]:
        """The answer that can be given at once."""
        self.asks(1, question)
        (answer,) = self.answers()
        return dict(answer["answer"])


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """One without task processes."""
    monkeypatch.setattr(isolated, "in_thread", lambda _: None)
    return Bench()


def test_what_runs_of_a_partition_is_told_with_the_code_it_is_in(bench: Bench) -> None:
    bench.loop.run("orders", 3, 120, started=60.0)
    bench.loop.run("orders", 4, 7, started=60.0)

    (task,) = bench.ask(topic="orders", partition=3)["tasks"]

    assert {**task, "calls": None} == {
        "topic": "orders", "partition": 3, "offset": 120, "attempt": 2, "thread": "handler-0", "seconds": 40.0, "calls": None,
        "void": "", "task_process": 0,
    }  # fmt: skip
    assert any(name.startswith("test_what_runs_of") for _, _, name, _ in task["calls"])


def test_of_many_the_longest_running_are_told(bench: Bench) -> None:
    for offset in range(2 * MOST_TASKS):
        bench.loop.run("orders", 3, offset, started=90.0 - offset % 70)

    seconds = [task["seconds"] for task in bench.ask()["tasks"]]

    assert (len(seconds), seconds[0]) == (MOST_TASKS, 79.0)


def test_all_threads_are_told_where_they_are_asked_for(bench: Bench) -> None:
    assert "threads" not in bench.ask()
    assert "MainThread" in [thread["name"] for thread in bench.ask(threads=True)["threads"]]


def test_what_the_consumer_thread_knows_of_a_message_is_waited_for(bench: Bench) -> None:
    bench.asks(7, {"topic": "orders", "partition": 3, "offset": 120})
    early = bench.answers()
    bench.loop.sought[PLACE].set_result(KEPT)

    (late,) = bench.answers()

    assert early == []
    assert late == {"number": 7, "answer": {"tasks": [], "sought": as_json(KEPT)}}
    assert bench.answers() == []


def test_a_consumer_thread_that_does_not_turn_is_not_waited_for_long(bench: Bench) -> None:
    bench.asks(7, {"topic": "orders", "partition": 3, "offset": 120})
    bench.now += WAIT_SECONDS

    assert bench.answers() == [{"number": 7, "answer": {"tasks": []}}]


def test_where_the_code_of_a_task_process_is_is_asked_of_that_and_not_waited_for_long(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: List[int] = []
    process = SimpleNamespace(calls=None, pid=77, want_calls=lambda: wanted.append(1))
    monkeypatch.setattr(isolated, "in_thread", {"handler-0": process}.get)
    bench.loop.run("orders", 3, 120, started=60.0)
    bench.asks(1, {})
    early = bench.answers()
    process.calls = [("tasks.py", 88, "charge", "pay()")]
    (said,) = bench.answers()
    process.calls = None
    bench.asks(2, {})
    bench.now += WAIT_SECONDS
    (silent,) = bench.answers()

    assert (wanted, early) == ([1, 1], [])
    assert said["answer"]["tasks"][0]["task_process"] == 77
    assert said["answer"]["tasks"][0]["calls"] == [("tasks.py", 88, "charge", "pay()")]
    assert silent["answer"]["tasks"][0]["calls"] == []


@pytest.mark.parametrize("question", [{"topic": ["x"], "partition": 0, "offset": 1}, {"offset": "1"}, {"partition": {}}])
def test_what_makes_no_sense_is_answered_with_nothing(bench: Bench, question: Dict[str, Any]) -> None:
    bench.loop.run("orders", 3, 120, started=60.0)

    answer = bench.ask(**question)

    assert bench.loop.sought == {}
    assert "sought" not in answer
