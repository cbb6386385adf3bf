"""What becomes of a batch that has failed as a whole."""

from __future__ import annotations

from typing import List

import pytest

from kafka_worker.shared.exit_codes import ExitCode
from tests.unit.loops import Bench, assign, deliver, stop, until
from tests.unit.pools.kinds import batch_pool

POISON = 2


class Batches:
    """A handler that one of its messages makes fail; they come with their offsets in the contexts."""

    def __init__(self) -> None:
        self.calls: List[List[int]] = []

    def __call__(self, _messages: List[object], contexts: List[object]) -> None:
        offsets = [context.offset for context in contexts]  # type: ignore[attr-defined]
        self.calls.append(offsets)
        if POISON in offsets:
            raise KeyError(POISON)


@pytest.mark.parametrize("ordering", ["none", "key"])
def test_each_is_called_alone_and_only_the_culprit_fails(monkeypatch: pytest.MonkeyPatch, ordering: str) -> None:
    handler, bench = Batches(), Bench(monkeypatch)
    bench.pool = lambda _call: batch_pool(handler, contexts=True)
    bench.delays[POISON] = 60.0

    code = bench.play(
        assign(),
        deliver(0, 1, 2, 3, 4),
        until(lambda: bench.loop.report.retrying == 1 and len(handler.calls) == 6),
        stop(),
        ordering=ordering,
    )

    assert code is ExitCode.OK
    assert (handler.calls[0], sorted(handler.calls[1:])) == ([0, 1, 2, 3, 4], [[0], [1], [2], [3], [4]])
    assert bench.committed == POISON


def test_a_failing_batch_does_not_open_the_circuit_breaker_by_its_innocent_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    handler, bench = Batches(), Bench(monkeypatch)
    bench.pool = lambda _call: batch_pool(handler, contexts=True)
    bench.delays[POISON] = 60.0

    bench.play(
        assign(), deliver(*range(30)), until(lambda: len(handler.calls) == 31 and bench.loop.report.retrying), stop(),
        ordering="none", breaker_min_calls=1, breaker_failure_share=0.9,
    )  # fmt: skip

    assert len(handler.calls) == 31
