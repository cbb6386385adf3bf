"""Results of handlers, on a producer that does what the test says."""

from __future__ import annotations

from typing import List

import pytest
from confluent_kafka import KafkaError

from service.outcomes import Send
from tests.unit.outboxes import Desk
from worker.completion import Results
from worker.outbox import RESEND_SECONDS
from worker.sending import BUSY_SECONDS, Sending

MISSING = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def test_a_task_is_done_only_when_all_its_results_are_stored(desk: Desk) -> None:
    done: List[int] = []
    Sending(desk.outbox, lambda task: done.append(task[0])).send(
        Results([Send("a", {"x": 1}, key="k", headers={"h": "1"}), Send("b", None)], [desk.task(7)]), desk.now
    )
    first, second = desk.letters
    first["on_delivery"](None, None)
    after_one = list(done)
    second["on_delivery"](None, None)

    assert (after_one, done) == ([], [7])
    assert [(letter["topic"], letter["value"]) for letter in (first, second)] == [("a", b'{"x":1}'), ("b", None)]
    assert (first["key"], first["headers"]) == (b"k", [("h", b"1")])


def test_all_tasks_of_a_batch_are_done_together(desk: Desk) -> None:
    done: List[int] = []
    tasks = [desk.task(offset) for offset in (7, 8, 9)]

    Sending(desk.outbox, lambda task: done.append(task[0])).send(Results([Send("a", 1)], tasks), desk.now)
    desk.answer()

    assert done == [7, 8, 9]


def test_a_result_that_can_not_be_stored_holds_the_partition_until_it_is(desk: Desk) -> None:
    done: List[int] = []
    Sending(desk.outbox, lambda task: done.append(task[0])).send(Results([Send("a", 1)], [desk.task(7)]), desk.now)
    desk.answer(MISSING)
    held = (desk.partition.held, desk.outbox.unstored["result"], list(done))
    desk.now += RESEND_SECONDS
    desk.outbox.serve()
    desk.answer()

    assert held == ("a result can't be stored in a: Broker: Unknown topic or partition", 1, [])
    assert (desk.partition.held, done) == ("", [7])


def test_the_consumer_thread_looks_more_often_while_results_come(desk: Desk) -> None:
    sending = Sending(desk.outbox, lambda _task: None)
    before = sending.busy(desk.now)

    sending.send(Results([Send("a", 1)], [desk.task(7)]), desk.now)

    assert (before, sending.busy(desk.now), sending.busy(desk.now + BUSY_SECONDS)) == (False, True, False)
