"""The main thread of a child, beside a consumer thread that the test is."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Iterator, List, Optional, cast

import pytest

from kafka_worker.draining.stopping import Stop
from kafka_worker.process import ChildProcess
from kafka_worker.report import LoopReport
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.ipc.channel import Channel
from kafka_worker.shared.ipc.snapshot import Stage
from kafka_worker.shared.ipc.stage import StageHolder
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import locks, runtime_files
from kafka_worker.shared.system.deadline import Deadline
from tests.unit.fakes import some_settings

ENOUGH_TURNS = 50


class Loop:
    """In the place of the consumer loop."""

    def __init__(self) -> None:
        self.turned_at = 1.0
        self.stopping: Optional[Stop] = None
        self.report = LoopReport()
        self.consume_messages: Callable[[], ExitCode] = lambda: ExitCode.OK

    def stop(self, stop: Stop) -> None:
        self.stopping = stop


class Turns:
    """In the place of the signals: none come, and each look for them is a turn."""

    def __init__(self, each: Callable[[int], None]) -> None:
        self._reader, self._writer = socket.socketpair()
        self._each = each
        self.count = 0

    def fileno(self) -> int:
        return self._reader.fileno()

    def take(self) -> List[int]:
        self.count += 1
        self._each(self.count)
        return []

    def close(self) -> None:
        self._reader.close()
        self._writer.close()


class Bench:
    """A child whose threads are not there."""

    def __init__(self, settings: Settings) -> None:
        ours, self.supervisor = socket.socketpair()
        self.loop = Loop()
        self.ends: List[str] = []
        self.child = cast("Any", ChildProcess(settings, 0, Channel(ours)))
        self.child._loop = self.loop
        self.child._pool = SimpleNamespace(start=lambda: None)
        self.child._time_limits = SimpleNamespace(check=lambda: False)
        self.child._heartbeat = SimpleNamespace(message=lambda: {"report": {}}, poll_age=lambda: 0.0)
        self.child._journal = SimpleNamespace(note_own_end=lambda: self.ends.append("own will"))
        self.child._stage.move(Stage.WAITING)

    def watch(self, each: Callable[[int], None]) -> ExitCode:
        turns = Turns(each)
        try:
            return cast("ExitCode", self.child._watch(turns))
        finally:
            turns.close()

    def close(self) -> None:
        self.supervisor.close()
        self.child._channel.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(some_settings(runtime_directory=str(tmp_path)))
    os.mkdir(runtime_files.folder(made.child._settings))
    yield made
    made.close()


def test_the_end_of_the_supervisor_is_heard_although_a_report_could_not_be_sent_before(bench: Bench) -> None:
    bench.child._stage.move(Stage.CONSUMING)
    bench.child._upkeep = SimpleNamespace(check=lambda: None)

    def turn(number: int) -> None:
        if number == 1:
            bench.supervisor.close()
            bench.child._channel.send({"report": {}})
        elif number == ENOUGH_TURNS or bench.loop.stopping:
            bench.child._code = ExitCode.OK

    bench.watch(turn)

    assert bench.loop.stopping is not None
    assert not bench.loop.stopping.leave


def test_the_slots_lock_is_held_until_the_process_is_dead_so_that_nobody_reads_the_journal_before_it_says_all(
    bench: Bench,
) -> None:
    code = bench.child._consume()

    assert code is ExitCode.OK
    other = locks.Lock(runtime_files.slot_lock(bench.child._settings, 0))
    assert not other.try_acquire()
    other.release()


@pytest.mark.parametrize(
    ("code", "outgrown", "said"),
    [
        (ExitCode.OK, True, ["own will"]),
        (ExitCode.GAVE_UP, False, ["own will"]),
        (ExitCode.GAVE_UP, True, []),
        (ExitCode.FENCED, False, ["own will"]),
        (ExitCode.FAULT, False, []),
    ],
)
def test_what_runs_at_the_end_is_suspect_only_when_a_fault_has_ended_us_or_what_it_has_used_up_of_memory(
    bench: Bench, code: ExitCode, outgrown: bool, said: List[str]
) -> None:
    bench.child._code, bench.child._upkeep = code, SimpleNamespace(outgrown=outgrown)

    assert bench.watch(lambda _: None) is code
    assert bench.ends == said


def test_who_is_asked_to_stop_in_the_very_moment_of_its_turn_does_not_join_the_group(bench: Bench) -> None:
    """It would be dead before it could leave again, and its seat taken until the session is over."""
    joined: List[bool] = []
    bench.loop.consume_messages = lambda: joined.append(True) or ExitCode.OK  # type: ignore[func-returns-value]
    move = bench.child._stage.move

    def asked_meanwhile(to: Stage) -> None:
        bench.child._ask_to_stop({"leave": True})
        move(to)

    bench.child._stage.move = asked_meanwhile
    bench.child._consume()

    assert bench.child._code is ExitCode.OK
    assert joined == []


def test_a_thread_that_cannot_be_had_before_the_seat_is_taken_ends_the_process(bench: Bench) -> None:
    """It would hang: not in the group, and heard all the same."""

    def no_room() -> bool:
        raise RuntimeError("can't start new thread")

    bench.child._hooks = SimpleNamespace(start=no_room)

    bench.child._prepare()

    assert bench.child._code is ExitCode.FAULT


@pytest.mark.parametrize("of_loop", [False, True])
def test_who_is_asked_to_stop_while_its_hooks_wait_for_a_database_ends_in_order_and_never_joins(
    bench: Bench, *, of_loop: bool
) -> None:
    bench.child._stage = StageHolder()
    consumed: List[bool] = []
    bench.child._consume = lambda: consumed.append(True)

    def asked_meanwhile() -> bool:
        bench.child._ask_to_stop({"leave": True})
        return True

    bench.child._hooks = SimpleNamespace(start=(lambda: True) if of_loop else asked_meanwhile)
    bench.child._pool = SimpleNamespace(prepare=asked_meanwhile if of_loop else lambda: True)
    bench.child._prepare()

    assert bench.child._code is ExitCode.OK
    assert consumed == []


def test_an_end_that_the_consumer_thread_has_found_by_itself_has_its_deadline_kept_too(bench: Bench) -> None:
    """Its client may hang in `close`, as it may after a stop."""
    bench.child._stage.move(Stage.CONSUMING)
    bench.child._stage.move(Stage.DRAINING)
    bench.child._stage.move(Stage.CLOSING)
    bench.loop.stopping = Stop(Deadline(-60.0), leave=False)
    bench.loop.report = LoopReport(ending=ExitCode.NOT_AUTHORISED)

    def turn(number: int) -> None:
        if number == ENOUGH_TURNS:
            bench.child._code = ExitCode.OK

    assert bench.watch(turn) is ExitCode.NOT_AUTHORISED
