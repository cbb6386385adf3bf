"""The examples do what they say."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any, Callable, List

import pytest

from examples import batch, plain
from kafka_worker import Send
from kafka_worker.testing import TestWorker

Workers = Callable[..., TestWorker]


def test_the_plain_one_renders_waits_for_a_busy_renderer_and_rejects(worker_for: Workers) -> None:
    renderer = plain.Renderer(places=1)
    worker = worker_for(plain.process_message, replace={plain.renderer: renderer})

    done = worker.run({"scenario": "ocean", "seconds": 0}, key="7")
    rejected = worker.run({})
    renderer._places.put_nowait(None)
    busy = worker.run({"scenario": "ocean"})

    assert done.sent == [Send("pictures", {"picture": "ocean.png"}, key="7")]
    assert rejected.dead_letter and rejected.dead_letter.reason == "rejected"
    assert busy.retry_in == 5


def test_the_typed_one_names_the_place_of_what_does_not_fit(worker_for: Workers) -> None:
    worker = worker_for("examples.typed:process_message")

    assert worker.run({"id": 1, "lines": [{"item": "tea"}]}).done
    letter = worker.run({"id": 1, "lines": [{"item": "tea", "number": "two"}]}).dead_letter
    assert letter and letter.error == "InvalidMessageError: /lines/0/number: Expected `int`, got `str`"


def test_the_asynchronous_one_asks_all_at_once(worker_for: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: List[str] = []

    async def ask(question: str) -> str:
        asked.append(question)
        return question

    monkeypatch.setattr("examples.asynchronous.ask", ask)

    assert worker_for("examples.asynchronous:process_message").run({"questions": ["a", "b"]}).done
    assert asked == ["a", "b"]


def test_the_batch_stores_what_it_can(worker_for: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: List[Any] = []
    monkeypatch.setattr(batch, "ROWS", rows)

    results = worker_for(batch.process_messages).run_all([{"id": 1}, {}, {"id": 2}])

    assert [result.done for result in results] == [True, False, True]
    assert rows == [{"id": 1}, {"id": 2}]


def test_the_transactional_one_sends_both_results_with_its_offset(worker_for: Workers) -> None:
    worker = worker_for("examples.transactional:process_message", delivery="exactly-once")

    result = worker.run({"id": 7, "customer": "c", "item": "tea", "cents": 300})
    rejected = worker.run({"id": 8, "customer": "c", "item": "tea", "cents": 0})

    assert [(sent.topic, sent.json) for sent in result.sent] == [
        ("payments", {"order": 7, "cents": 300}),
        ("parcels", {"order": 7, "item": "tea"}),
    ]
    assert result.done and rejected.dead_letter


@pytest.mark.usefixtures("defined")  # its hook would open that file for each worker of the tests to come, wherever they are
def test_the_idempotent_one_keeps_accounts_in_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, worker_for: Workers
) -> None:  # in this order: the worker's last thread has ended when the directory is the former one again
    monkeypatch.chdir(tmp_path)

    assert worker_for("examples.idempotent:process_message").run({"account": "a", "amount": 3}).done
    with contextlib.closing(sqlite3.connect("accounts.db")) as connection:
        assert connection.execute("SELECT * FROM accounts").fetchall() == [("a", 3)]
