"""What handlers report of the things they depend on, and what the gate makes of it."""

from __future__ import annotations

import pytest

from kafka_worker.partitions.assignment import Partition
from tests.unit.fakes import TOPIC
from tests.unit.gates.bench import ERROR, OPEN_SECONDS, PROBES, Bench, offsets


def test_a_dependency_that_fails_holds_the_handlers_that_use_it_as_a_whole() -> None:
    bench = Bench("a", "b", "c")
    bench.call("payments", "b")
    for _ in range(4):
        with pytest.raises(ConnectionError):
            bench.call("payments", "a", ERROR)
    bench.turn()
    for _ in range(4):  # one had succeeded, so it was tried at once
        with pytest.raises(ConnectionError):
            bench.call("payments", "a", ERROR)

    assert bench.turn()
    assert bench.queues == [bench.partitions[2].queue]


def test_a_failure_that_comes_from_a_dependency_does_not_count_while_that_is_not_well() -> None:
    bench = Bench()
    first, second = bench.taken(2)
    bench.pool.threads[0].done_of[TOPIC] = 8  # they keep the handler's own breaker closed
    for _ in range(4):
        with pytest.raises(ConnectionError) as raised:
            bench.call("payments", error=ConnectionError("refused"))
    wrapped = ValueError("no payment")
    wrapped.__cause__ = raised.value

    assert bench.fail(first, error=wrapped) == [True]
    assert bench.fail(second, error=ValueError("my own")) == [False]


def test_messages_that_do_not_use_the_dependency_decide_nothing_about_it() -> None:
    bench = Bench()
    for _ in range(4):
        with pytest.raises(ConnectionError):
            bench.call("payments", error=ERROR)
    bench.turn()
    bench.turn(OPEN_SECONDS)

    bench.succeed(*bench.taken())
    assert len(bench.taken()) == PROBES
    for _ in range(PROBES):
        bench.call("payments")
    bench.turn()

    assert bench.queues == [bench.partitions[0].queue]


def test_what_failed_by_a_dependency_is_tried_when_others_do_not_use_it() -> None:
    bench = Bench(tasks=40)
    needy = bench.taken(1)
    bench.pool.threads[0].done_of[TOPIC] = 10  # they keep the handler's own breaker closed
    for _ in range(4):
        with pytest.raises(ConnectionError) as raised:
            bench.call("payments", error=ConnectionError("refused"))
    assert bench.fail(*needy, error=raised.value) == [True]
    bench.turn()
    bench.turn(OPEN_SECONDS)

    bench.succeed(*bench.taken())

    assert offsets(bench.taken())[0] == needy[0][0]


def test_a_call_that_began_before_the_round_is_no_probe_of_it() -> None:
    bench = Bench()
    slow = bench.gates.dependencies.call("payments", TOPIC, Partition(TOPIC, 0).closing)
    slow.__enter__()
    for _ in range(4):
        with pytest.raises(ConnectionError):
            bench.call("payments", error=ERROR)
    bench.turn()
    bench.turn(OPEN_SECONDS)

    slow.__exit__(ConnectionError, ERROR, None)
    bench.turn()

    assert [report.state for report in bench.gates.reports(0.0) if report.name == "payments"] == ["half-open"]


def test_names_of_dependencies_are_bounded_in_number_and_form(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    for number in range(150):
        bench.call(f"host-{number}")
    bench.turn()

    assert len(bench.gates.reports(0.0)) == 102  # the handler's and that of the dead letters are two
    assert caplog.text.count("have no circuit breaker") == 1
    for name in ("", "x" * 101, "two\nlines", b"bytes"):
        with pytest.raises(ValueError, match="dependency's name"):
            bench.call(name)  # type: ignore[arg-type]
