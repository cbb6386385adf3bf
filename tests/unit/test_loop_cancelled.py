"""What fails while its partition goes away was not tried: it may have failed because we asked it to end."""

from __future__ import annotations

from typing import Any, List, Tuple

import pytest

from kafka_worker.handler.context import Context
from kafka_worker.partitions.assignment import Partition
from kafka_worker.shared.foreign.answers import BatchError, Reject, Send
from tests.support.eventually import eventually
from tests.unit.fakes import TOPIC, Message, Step
from tests.unit.kafka.outgoing.desk import Producer
from tests.unit.loops import Bench, assign, deliver, revoke, stop, until
from tests.unit.pools.kinds import batch_pool
from tests.unit.test_loop import until_closed

NEVER = 0.0  # seconds until the next attempt, of which there is to be none: it would come within the drain
BREAKER = {"breaker_min_calls": 1, "breaker_open_seconds": 60.0}


class GaveUpError(Exception):
    """What a handler raises that was told that it is cancelled."""


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, producer: Producer) -> Bench:
    """Its handler runs until it is cancelled, and raises then, as the contract says."""
    made = Bench(monkeypatch)
    made.call = obedient
    made.delays = {1: NEVER}
    return made


def obedient(message: Any, partition: Partition, attempt: int) -> None:
    until_closed(message, partition, attempt)
    raise GaveUpError(1)


@pytest.mark.parametrize("step", [stop(), revoke()], ids=["stop", "revoke"])
def test_a_handler_that_gives_up_because_it_is_cancelled_is_not_called_again_and_not_committed(
    bench: Bench, producer: Producer, step: Step
) -> None:
    bench.play(assign(), deliver(0, 1), until(lambda: len(bench.calls) == 2), step, stop(), **BREAKER)

    assert sorted(bench.calls) == [0, 1]
    assert producer.letters == []
    assert [commit for commit in bench.group.commits if commit[2] > 0] == []
    assert (bench.loop.report.retrying, bench.parts.gates.reports(0.0)[0].calls) == (0, 0)


def test_what_is_done_before_it_is_committed_and_its_follower_does_not_run(bench: Bench) -> None:
    def second_obeys(message: Any, partition: Partition, attempt: int) -> None:
        if message.offset() == 1:
            obedient(message, partition, attempt)

    bench.call = second_obeys
    lane = [Message(0, b"b"), Message(1, b"a"), Message(2, b"a"), Message(3, b"b")]
    bench.play(assign(), lambda _: lane, until(lambda: {0, 3} <= bench.done), revoke(), stop())

    assert sorted(bench.calls) == [0, 1, 3]
    assert bench.group.commits == [(TOPIC, 0, 1)]


def test_a_verdict_of_the_handler_stands_although_its_partition_goes_away(bench: Bench, producer: Producer) -> None:
    def reject(message: Any, partition: Partition, attempt: int) -> None:
        until_closed(message, partition, attempt)
        raise Reject(1)  # type: ignore[arg-type]

    bench.call = reject
    bench.delays = {1: None}  # type: ignore[dict-item]
    bench.play(assign(), deliver(0), until(lambda: bench.calls), stop())

    assert [letter["topic"] for letter in producer.letters] == [TOPIC + ".dlq"]
    assert bench.committed == 1


def test_results_of_a_call_that_came_to_its_end_although_cancelled_are_stored(bench: Bench, producer: Producer) -> None:
    def send(message: Any, partition: Partition, attempt: int) -> Send:
        until_closed(message, partition, attempt)
        return Send("results", 1)

    bench.call = send
    bench.play(assign(), deliver(0), until(lambda: bench.calls), stop())

    assert [letter["topic"] for letter in producer.letters] == ["results"]
    assert bench.committed == 1


@pytest.mark.parametrize(("error", "committed"), [(GaveUpError(1), 0), (BatchError({1: GaveUpError(1)}), 1)])
def test_of_a_batch_that_gives_up_nothing_is_called_alone_and_what_was_done_counts(
    bench: Bench, error: BaseException, committed: int
) -> None:
    calls: List[List[int]] = []

    def obey(_messages: List[object], contexts: List[Context]) -> None:
        calls.append([context.offset for context in contexts])
        eventually(lambda: contexts[0].cancelled, 10, "it is cancelled")
        raise error

    bench.pool = lambda _call: batch_pool(obey, contexts=True)
    bench.play(assign(), deliver(0, 1, 2), until(lambda: calls), stop(), ordering="none")

    assert calls == [[0, 1, 2]]
    assert bench.committed == committed


def test_a_dependency_that_a_cancelled_call_breaks_off_is_not_blamed(bench: Bench) -> None:
    def depend(message: Any, partition: Partition, attempt: int) -> None:
        with Context(message, partition, attempt).dependency("payments"):
            obedient(message, partition, attempt)

    bench.call = depend
    bench.play(assign(), deliver(0), until(lambda: bench.calls), revoke(), stop(), **BREAKER)

    assert [(report.name, report.calls) for report in bench.parts.gates.reports(0.0)][1] == ("payments", 0)


def test_a_call_that_is_cancelled_because_it_takes_too_long_has_failed_as_ever(bench: Bench, producer: Producer) -> None:
    calls: List[Tuple[int, int]] = []

    def slow(message: Any, partition: Partition, attempt: int) -> None:
        calls.append((message.offset(), attempt))
        partition.overdue[partition.number, message.offset()] = None  # as the time keeper does it
        if attempt == 1 and Context(message, partition, attempt).cancelled:
            raise GaveUpError(1)

    bench.call = slow
    bench.play(assign(), deliver(0), until(lambda: 0 in bench.done), stop())

    assert calls == [(0, 1), (0, 2)]
    assert bench.committed == 1
