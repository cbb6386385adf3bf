"""The consumer thread's loop, with real handler threads, while a circuit breaker is open."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, List

import pytest

from kafka_worker.partitions.assignment import Partition
from kafka_worker.shared.exit_codes import ExitCode
from tests.unit.loops import Bench, assign, deliver, revoke, stop, until

BREAKER = {"breaker_min_calls": 4, "breaker_open_seconds": 60.0, "breaker_probes": 2}
QUICK = 5.0  # seconds; a drain that waits for what is held takes its ten


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Its handler fails from the third message on, by an error with the number 1."""
    made = Bench(monkeypatch)

    def call(message: Any, _partition: Partition, _attempt: int) -> None:
        if message.offset() >= 2:
            raise ConnectionError(1)

    made.call = call
    made.delays = {1: 60.0}
    return made


def is_open(bench: Bench) -> Callable[[], bool]:
    return lambda: bench.loop.report.breakers[0].state == "open"


def test_a_stop_while_open_is_quick_and_starts_nothing_more(bench: Bench) -> None:
    began = time.monotonic()
    code = bench.play(assign(), deliver(*range(8)), until(is_open(bench)), deliver(*range(8, 20)), stop(), **BREAKER)

    assert time.monotonic() - began < QUICK
    assert code is ExitCode.OK
    assert bench.committed == 2
    assert max(bench.calls) < 8
    assert bench.loop.report.partitions[0].held


def test_a_partition_is_given_away_quickly_while_open_and_not_committed_past_what_failed(bench: Bench) -> None:
    began = time.monotonic()
    bench.play(assign(), deliver(*range(8)), until(is_open(bench)), revoke(), assign(), deliver(2), stop(), **BREAKER)

    assert time.monotonic() - began < QUICK
    assert bench.committed == 2


def test_when_calls_succeed_again_everything_is_done(bench: Bench) -> None:
    mended = threading.Event()

    def call(_message: Any, _partition: Partition, attempt: int) -> None:
        attempts.append(attempt)
        if not mended.is_set():
            raise ConnectionError(1)

    attempts: List[int] = []
    bench.call, bench.delays = call, {1: 0.01}
    bench.play(
        assign(),
        deliver(*range(50)),
        until(lambda: is_open(bench)() and bench.loop.report.breakers[0].opened_times >= 3),
        until(lambda: mended.set() or len(bench.done) == 50),  # type: ignore[func-returns-value]
        stop(),
        **{**BREAKER, "breaker_open_seconds": 0.02},
    )

    assert bench.committed == 50
    assert set(attempts) <= {1, 2}
    assert bench.loop.report.breakers[0].state == "closed"


def test_with_a_rate_limit_messages_are_done_at_that_rate_and_what_waits_says_so(bench: Bench) -> None:
    bench.call = lambda *_: None
    began = time.monotonic()
    said = "MAX_MESSAGES_PER_SECOND lets no more than 400 a second begin in this process"
    bench.play(
        assign(), deliver(*range(100)), until(lambda: said in str(bench.loop.report.partitions)),
        until(lambda: len(bench.done) == 100), stop(), max_messages_per_second=400.0,
    )  # fmt: skip

    assert time.monotonic() - began >= 0.24
    assert bench.committed == 100
