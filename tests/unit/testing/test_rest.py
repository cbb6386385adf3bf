"""A worker that is tested has come to rest when nothing more happens by itself, whichever thread is slow just then."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from kafka_worker.pools.thread_pool import Pool
from kafka_worker.shared.ipc.snapshot import Waits
from kafka_worker.testing import TestWorker
from tests.support.eventually import eventually

SOON = 5.0  # true seconds


def taken_behind_its_back(monkeypatch: pytest.MonkeyPatch, worker: TestWorker, may_end: threading.Event) -> None:
    """The first message is taken by its thread just after the worker has found it in its queue, and ends when the worker has
    looked again."""
    bench, take = worker._bench, threading.Event()
    head, serve, before = bench.head, Pool._serve_one, len(bench.loop.running())

    def taken_later(pool: Pool, thread: Any, pop: Any) -> bool:
        assert take.wait(SOON)
        return serve(pool, thread, pop)

    def looked_at(result: Any) -> Any:
        found = head(result)
        if take.is_set():
            may_end.set()
        elif found and found.waits is Waits.QUEUED:
            take.set()
            eventually(lambda: len(bench.loop.running()) > before, SOON, "it is taken")
        return found

    monkeypatch.setattr(Pool, "_serve_one", taken_later)
    monkeypatch.setattr(bench, "head", looked_at)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_message_that_is_taken_while_the_worker_looks_is_waited_for(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    may_end, runs_on = threading.Event(), threading.Event()

    def handle(message: str) -> None:
        (runs_on if message == "runs on" else may_end).wait(SOON)

    with TestWorker(handle, threads=threads) as worker:
        if threads > 1:
            worker.start("runs on")
        taken_behind_its_back(monkeypatch, worker, may_end)

        result = worker.run("a message")

        assert result.done, result
        runs_on.set()
