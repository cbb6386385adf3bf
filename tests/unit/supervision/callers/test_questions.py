"""What only a process knows is asked of it, and whoever asked is answered in any case."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List

import pytest

from kafka_worker.shared.ipc.control import Caller, Later
from kafka_worker.shared.ipc.work import WorkOfAll
from kafka_worker.supervision.callers.questions import ANSWER_SECONDS, Questions
from kafka_worker.supervision.children import child
from kafka_worker.supervision.slots.slot import Slot
from tests.unit.supervision.puppet import Puppet

QUESTION = {"topic": "orders"}


class Bench:
    def __init__(self) -> None:
        self.now = 100.0
        self.puppet = Puppet()
        self.slot = Slot(3, self.now)
        self.slot.child = self.puppet.child
        self.questions = Questions({3: self.slot}, lambda: self.now)

    def inquire(self, request: Dict[str, Any]) -> Later:
        return self.questions.inquire(request, Caller(0, 0))

    def asked(self) -> List[Any]:
        return list(self.puppet.line.receive())

    def says(self, message: Dict[str, Any]) -> None:
        self.puppet.line.send(message)
        self.puppet.child.hear(50.0, WorkOfAll())


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.puppet.close()


def test_the_process_is_asked_and_each_has_the_answer_to_his_own_question(bench: Bench) -> None:
    first = bench.inquire({"slot": 3, "question": QUESTION})
    second = bench.inquire({"slot": 3, "question": {}})
    early = first(), second()

    bench.says({"answer": {"tasks": [2]}, "number": 2})
    bench.says({"answer": {"tasks": [1]}, "number": 1})

    assert bench.asked() == [{"ask": QUESTION, "number": 1}, {"ask": {}, "number": 2}]
    assert early == (None, None)
    assert (first(), second()) == ({"tasks": [1]}, {"tasks": [2]})


def test_an_answer_is_no_heartbeat(bench: Bench) -> None:
    bench.puppet.says("consuming", awake=50.0)
    bench.puppet.line.send({"answer": {}, "number": 1})
    bench.puppet.child.hear(60.0, WorkOfAll())

    assert bench.puppet.child.heartbeat_age(60.0) == 10.0


def test_who_does_not_answer_is_waited_for_no_longer_than_said(bench: Bench) -> None:
    later = bench.inquire({"slot": 3, "question": QUESTION})
    bench.now += ANSWER_SECONDS - 0.01
    early = later()
    bench.now += 0.01

    assert early is None
    assert later() == {"error": "process 7 has not answered"}


def test_who_ends_meanwhile_is_not_waited_for(bench: Bench) -> None:
    later = bench.inquire({"slot": 3, "question": QUESTION})
    bench.puppet.close()
    bench.puppet.child.hear(50.0, WorkOfAll())

    assert later() == {"error": "process 7 has not answered"}


@pytest.mark.parametrize("slot", [4, None, "3", [3], {}])
def test_where_no_process_is_none_is_asked(bench: Bench, slot: Any) -> None:
    assert bench.inquire({"slot": slot, "question": QUESTION})() == {"error": f"slot {slot!r} has no process"}


@pytest.mark.parametrize("question", [None, [], "?"])
def test_what_is_no_question_is_not_passed_on(bench: Bench, question: Any) -> None:
    assert "error" in (bench.inquire({"slot": 3, "question": question})() or {})
    assert bench.asked() == []


def test_answers_that_nobody_takes_are_forgotten(bench: Bench) -> None:
    for number in range(3 * child.MOST_ANSWERS):
        bench.inquire({"slot": 3, "question": QUESTION})
        bench.says({"answer": {}, "number": number + 1})

    assert len(bench.puppet.child._answers) == child.MOST_ANSWERS
