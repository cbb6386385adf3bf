"""What the consumer thread publishes, and when."""

from __future__ import annotations

import threading
from typing import Any, Dict, Iterator, List
from unittest.mock import Mock

import pytest

from kafka_worker import loop
from kafka_worker.inquiries import Inquiries
from kafka_worker.report import LoopReport
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.ipc.snapshot import Stage
from kafka_worker.shared.ipc.stage import StageHolder
from tests.unit.fakes import Message, ScriptedGroup, Step
from tests.unit.loops import Bench, assign, deliver, lose, stop, until


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """One that reports once an hour, if nobody waits to hear of anything."""
    made = Bench(monkeypatch)
    monkeypatch.setattr(loop, "REPORT_SECONDS", 3600.0)
    return made


@pytest.fixture
def forever() -> Iterator[threading.Event]:
    """That a handler waits for, until the test is over."""
    event = threading.Event()
    yield event
    event.set()


def becomes(**changes: Any) -> Step:
    def step(group: ScriptedGroup) -> List[Message]:
        vars(group).update(changes)
        return []

    return step


def test_what_somebody_waits_for_is_published_at_once(bench: Bench) -> None:
    said: List[LoopReport] = []

    def note(_group: ScriptedGroup) -> List[Message]:
        said.append(bench.loop.report)
        return []

    bench.play(
        becomes(joined=False), note, becomes(joined=True), note, assign(), note, becomes(away=True), note, lose(), note, stop()
    )

    assert [report.joined for report in said] == [False, True, True, True, True]
    assert [len(report.partitions) for report in said] == [0, 0, 1, 1, 0]
    assert [report.broker_away for report in said] == [False, False, False, True, True]


def test_when_nobody_tells_where_partitions_end_it_is_looked_at_once_whether_any_broker_answers(bench: Bench) -> None:
    """Else each partition would be told as one without a leader, until the client notices that all brokers are silent."""
    doubted: List[bool] = []

    def nobody_answers(group: ScriptedGroup) -> List[Message]:
        group.ends.unanswered = True
        vars(group)["brokers"] = Mock(doubt=lambda: doubted.append(True), trouble="")
        return []

    bench.play(assign(), nobody_answers, becomes(unsettled_at=0.0, joined=False), becomes(joined=True), stop())

    assert doubted


def test_what_does_not_change_for_anybody_is_not_published_in_each_turn(bench: Bench) -> None:
    said: List[LoopReport] = []

    def note(_group: ScriptedGroup) -> List[Message]:
        said.append(bench.loop.report)
        return []

    bench.play(assign(), note, deliver(0), note, until(lambda: bench.done == {0}), note, stop())

    assert said[0] is said[1] is said[2]


def test_before_a_client_closes_it_is_known_why_the_process_ends_and_what_was_cut_off(
    bench: Bench, forever: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may not close: then the main thread ends the process, with the exit code that this says."""
    said: List[LoopReport] = []
    move = StageHolder.move

    def moved(stage: StageHolder, to: Stage) -> None:
        move(stage, to)
        if to is Stage.CLOSING:
            said.append(bench.loop.report)

    monkeypatch.setattr(StageHolder, "move", moved)
    bench.call = lambda *_: forever.wait(10)
    bench.play(assign(), deliver(0), until(lambda: bench.calls), becomes(ending=ExitCode.NOT_AUTHORISED), drain_seconds=0.01)

    assert said[0].ending is ExitCode.NOT_AUTHORISED
    assert "topic[0] offset 0" in said[0].cut_off[0]


def test_the_last_report_counts_what_was_dropped_while_the_group_was_left(
    bench: Bench, forever: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScriptedGroup, "close", lambda group: group.listener.on_lost([("topic", 0)]))
    bench.call = lambda *_: forever.wait(10)

    bench.play(assign(), deliver(*range(8)), until(lambda: len(bench.calls) == 2), stop(seconds=0.01))

    assert bench.loop.report.dropped == 6


def test_two_who_ask_about_messages_at_once_are_both_told(bench: Bench, forever: threading.Event) -> None:
    said: Dict[int, Any] = {}
    inquiries = Inquiries(lambda: 0.0)

    def ask(_group: ScriptedGroup) -> List[Message]:
        for offset in (0, 1):
            inquiries.ask(offset, {"topic": "topic", "partition": 0, "offset": offset}, bench.loop)
        return []

    def hear(_group: ScriptedGroup) -> List[Message]:
        said.update((each["number"], each["answer"].get("sought")) for each in inquiries.answers(bench.loop))
        return []

    bench.call = lambda *_: forever.wait(10)
    bench.play(assign(), deliver(0, 1), until(lambda: len(bench.calls) == 2), ask, hear, stop(seconds=0.01))

    assert {number: sought and sought["offset"] for number, sought in said.items()} == {0: 0, 1: 1}
