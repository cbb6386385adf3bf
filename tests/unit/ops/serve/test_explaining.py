"""What `explain` tells, by HTTP."""

from __future__ import annotations

import json
from typing import Any, List

import pytest

from kafka_worker.ops.serve import explaining
from kafka_worker.ops.serve.watching import Watch
from kafka_worker.shared.ipc.snapshot import HeadReport, Waits
from tests.unit import reports
from tests.unit.ops.serve.asking import Answer, Door, answer, visit

HEAD = HeadReport(100, Waits.RUNNING, 340.0, "customer-9", running=340.0)
STUCK = reports.PARTITION._replace(head=HEAD)
SNAPSHOT = reports.snapshot(reports.slot(3, child=reports.child(partitions=[STUCK, reports.HELD])))
SAID = {
    "tasks": [{"topic": "orders", "partition": 5, "offset": 100, "calls": [["tasks.py", 88, "charge", "wait()"]]}],
    "sought": None,
}


def told(*queries: str, said: Any = SAID, **given: Any) -> Any:
    """The answers, and what the service was asked for them."""
    questions: List[Any] = []

    async def script(door: Door, watch: Watch) -> List[Answer]:
        async def ask(request: Any) -> Any:
            questions.append(request)
            if isinstance(said, Exception):
                raise said
            return said

        watch.ask = ask  # type: ignore[method-assign]
        return [await door.ask("/api/v1/explain", query=query) for query in queries]

    return visit(script, SNAPSHOT, **given), questions


def test_what_a_commit_waits_for_is_told_with_the_code_of_what_runs_and_what_lets_go_of_it_and_without_keys() -> None:
    (found,), asked = told("topic=orders&partition=5")

    (case,) = json.loads(found.body)
    assert (found.status, case["slot"], case["head"]["waits"], case["head"]["key"]) == (200, 3, "running", None)
    assert case["tasks"][0]["calls"] == [["tasks.py", 88, "charge", "wait()"]]
    assert "kill -ABRT 1003" in case["let_go"][0]
    assert asked == [{"command": "inquire", "slot": 3, "question": {"topic": "orders", "partition": 5}}]


def test_a_topic_means_all_its_partitions_and_an_offset_one_message() -> None:
    found, asked = told("topic=orders", "topic=orders&partition=5&offset=7", http_show_keys="on")

    assert [[case["partition"] for case in json.loads(each.body)] for each in found] == [[5, 7], [5]]
    assert "customer-9" in found[0].body
    assert [each["question"].get("offset") for each in asked] == [None, 7]


def test_of_a_process_that_does_not_answer_the_snapshot_is_told() -> None:
    (found,), _ = told("topic=orders&partition=5", said=OSError("gone"))

    (case,) = json.loads(found.body)
    assert (case["committed"], case["tasks"], case["error"]) == (100, [], "gone")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400), ("topic=", 400), ("topic=orders&partition=x", 400), ("topic=orders&offset=5", 400), ("topic=orders/5", 400),
        ("topic=elsewhere", 404), ("topic=orders&partition=99", 404),
    ],
)  # fmt: skip
def test_what_is_not_here_or_means_nothing_is_said(query: str, status: int) -> None:
    (found,), asked = told(query)

    assert (found.status, asked) == (status, [])
    assert json.loads(found.body)["error"]


def test_who_asks_when_too_many_do_or_nothing_is_known_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = answer("/api/v1/explain", query="topic=orders")
    monkeypatch.setattr(explaining, "MOST", 0)
    (busy,), asked = told("topic=orders")

    assert (unknown.status, busy.status, asked) == (503, 503, [])
