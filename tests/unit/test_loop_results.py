"""What handlers return to be produced, when their partition goes away meanwhile."""

from __future__ import annotations

import threading
from typing import List, Optional

import pytest

from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.foreign.answers import Send
from tests.support.eventually import eventually
from tests.unit.fakes import Message, ScriptedGroup, Step
from tests.unit.kafka.outgoing.desk import Producer
from tests.unit.loops import Bench, assign, deliver, lose, revoke, stop, until


@pytest.mark.parametrize("step", [stop(), revoke()])
def test_a_task_that_just_returned_a_result_is_not_left_to_run_again(
    monkeypatch: pytest.MonkeyPatch, producer: Producer, step: Step
) -> None:
    bench = Bench(monkeypatch)
    bench.call = lambda *_: Send("results", 1)

    def at_once(group: ScriptedGroup) -> Optional[List[Message]]:
        """Before the consumer thread has had a look at what the handler returned."""
        eventually(lambda: bench.done and not bench.parts.pool.running(), 5, "the handler has returned")
        return step(group)

    code = bench.play(assign(), deliver(0), at_once, stop())

    assert code is ExitCode.OK
    assert [letter["topic"] for letter in producer.letters] == ["results"]
    assert bench.committed == 1


def test_results_of_a_partition_that_was_lost_meanwhile_are_not_produced(
    monkeypatch: pytest.MonkeyPatch, producer: Producer
) -> None:
    bench = Bench(monkeypatch)
    release = threading.Event()
    bench.call = lambda *_: release.wait(5) and Send("results", 1)

    def after(_group: ScriptedGroup) -> List[Message]:
        release.set()
        return []

    bench.play(assign(), deliver(0), until(lambda: bench.calls), lose(), after, until(lambda: bench.done), stop())

    assert producer.letters == []
    assert bench.committed == -1
