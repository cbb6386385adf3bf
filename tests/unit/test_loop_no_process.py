"""That we can't have a task process is no message's failure."""

from __future__ import annotations

from typing import Any, List, Tuple

import pytest

from kafka_worker.isolation.task_process import TaskProcessError
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Attempt, age_of
from tests.unit.loops import Bench, assign, deliver, stop, until

TIMES = 6  # more than MAX_ATTEMPTS
TROUBLE = "no task process can be had: no memory"


class Short:
    """A handler that has no process so many times."""

    def __init__(self) -> None:
        self.calls: List[Tuple[int, float]] = []  # attempt and age

    def __call__(self, _message: Any, _partition: Partition, attempt: int) -> None:
        self.calls.append((int(attempt), age_of(attempt, 0.0) if isinstance(attempt, Attempt) else 0.0))
        if len(self.calls) <= TIMES:
            raise TaskProcessError("no memory")


def test_it_counts_no_attempt_and_no_breaker_is_told_and_the_status_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskProcessError, "again_after", 0.01)
    bench, handler, seen = Bench(monkeypatch), Short(), [""]
    bench.call = handler

    def done() -> bool:
        if bench.loop.report.trouble != seen[-1]:
            seen.append(bench.loop.report.trouble)
        return bool(bench.done)

    bench.play(
        assign(), deliver(0), until(done), stop(),
        breaker_min_calls=1, dead_letter_storm_messages=2,
    )  # fmt: skip

    assert handler.calls == [(1, 0.0)] * (TIMES + 1)
    assert seen[:2] == ["", TROUBLE]
    assert {report.state for report in bench.parts.gates.reports(0.0)} == {"closed"}
    assert bench.committed == 1


def test_the_trouble_is_forgotten_when_it_does_not_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskProcessError, "again_after", 0.001)
    bench, handler = Bench(monkeypatch), Short()
    bench.call = handler

    bench.play(assign(), deliver(0), until(lambda: bench.done), until(lambda: not bench.loop.report.trouble), stop())

    assert bench.loop.report.trouble == ""
