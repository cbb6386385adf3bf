"""What the consumer thread still does while partitions are brought to rest: in a revocation, and in the drain."""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, List

import pytest

from kafka_worker import loop
from kafka_worker.draining.stopping import Stop
from kafka_worker.kafka.ends import End
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.stored import UNKNOWN
from kafka_worker.recovery.offset_map import encode
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.system.deadline import Deadline
from kafka_worker.standstill import standstills
from tests.support.eventually import eventually
from tests.unit.fakes import TOPIC, Message, ScriptedGroup, Step
from tests.unit.loops import OURS, Bench, assign, deliver, revoke, stop, until

OTHER = (TOPIC, 1)
SECONDS = 10.0  # for what should not take long at all


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def assign_other(group: ScriptedGroup) -> List[Message]:
    group.listener.on_assigned([OTHER])
    return []


def deliver_other(*offsets: int) -> Step:
    return lambda _group: [Message(offset, partition=1) for offset in offsets]


def ends_with(code: ExitCode) -> Step:
    def end(group: ScriptedGroup) -> List[Message]:
        group.ending = code
        return []

    return end


class UntilClosed:
    """A handler that waits until its partition is closed, then does something, and then waits for the word."""

    def __init__(self, then: Callable[[], None]) -> None:
        self._then = then
        self.release = threading.Event()

    def __call__(self, _message: Any, partition: Partition, _attempt: int) -> None:
        eventually(lambda: partition.closing.closed, SECONDS, "the partition is closed")
        self._then()
        self.release.wait(SECONDS)


# ---- a partition assigned during the drain ----


def test_a_partition_assigned_during_the_drain_is_paused_and_nothing_of_it_is_started_or_committed(bench: Bench) -> None:
    """Not even what lies below messages that are known to be done."""
    begun = threading.Event()

    def slow(message: Any, _partition: Partition, _attempt: int) -> None:
        begun.set()
        if message.partition() == 0:
            eventually(lambda: bench.played, SECONDS, "the drain has got the other partition's messages")

    def holds_a_map(group: ScriptedGroup) -> List[Message]:
        group.held[OTHER] = (0, encode("somebody", UNKNOWN, 0, [(4, 5)]))
        return []

    bench.call = slow
    steps = [stop(), holds_a_map, assign_other, deliver_other(0, 1, 2), deliver_other(3, 4)]
    code = bench.play(assign(), deliver(5), until(begun.is_set), *steps)

    assert code is ExitCode.OK
    assert bench.calls == [5]
    assert {name[:2] for name in bench.group.commits} == {OURS}
    assert bench.group.paused[-1] == OTHER
    assert bench.loop.report.dropped == 5


# ---- commits ----


def test_what_is_done_during_the_drain_is_committed_when_it_is_due(bench: Bench) -> None:
    def one_after_the_other(message: Any, partition: Partition, _attempt: int) -> None:
        eventually(lambda: partition.closing.closed, SECONDS, "the partition is closed")
        if message.offset() > 0:
            done_before = (*OURS, message.offset())
            eventually(lambda: done_before in bench.group.commits, SECONDS, f"{done_before} is committed")

    bench.call = one_after_the_other
    code = bench.play(assign(), deliver(0, 1), until(lambda: len(bench.calls) == 2), stop(), commit_interval_seconds=0.001)

    assert code is ExitCode.OK
    assert bench.done == {0, 1}
    assert bench.committed == 2


def test_what_is_done_while_a_revocation_waits_is_committed_when_it_is_due_also_of_partitions_that_stay(bench: Bench) -> None:
    """No answer is heard inside the client's callback, so none is waited for; and its positions are no measure there."""
    next_one = threading.Event()
    seen: List[Any] = []

    def call(message: Any, partition: Partition, _attempt: int) -> None:
        if message.partition() == 1:
            next_one.wait(SECONDS)
            next_one.clear()
            return
        eventually(lambda: partition.closing.closed, SECONDS, "the partition is closed")
        for done in (1, 2):
            next_one.set()
            eventually(lambda: (*OTHER, done) in bench.group.commits, SECONDS, f"{done} of the other is committed")  # noqa: B023
        seen.extend(bench.group.commits)

    bench.call = call
    bench.play(
        assign(),
        assign_other,
        deliver(0),
        deliver_other(0, 1),
        lambda group: setattr(group, "positions", lambda names: dict.fromkeys(names, 100)) or [],  # type: ignore[func-returns-value]
        until(lambda: bench.calls.count(0) == 2),
        revoke(),
        until(lambda: len(bench.done) == 2),
        stop(),
        commit_interval_seconds=0.001,
        ordering="partition",
    )

    assert (*OTHER, 2) in seen
    assert (*OTHER, 100) not in seen
    assert [place for place in bench.group.commits if place[:2] == OURS][-1] == (*OURS, 1)


# ---- the other duties ----


def test_while_a_revocation_waits_partitions_that_stay_are_served_and_told_of_as_ever_and_the_main_thread_sees_that_we_turn(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "REPORT_SECONDS", 0.01)
    monkeypatch.setattr(standstills, "AT_REST_SECONDS", 0.01)
    stale = End(10, 10, "")
    monkeypatch.setattr(ScriptedGroup, "end", lambda *_: stale.latest)  # as of the last fetch
    tried: List[int] = []

    def ends() -> Dict[int, int]:
        return {report.partition: report.end for report in bench.loop.report.partitions}

    def call(message: Any, partition: Partition, attempt: int) -> None:
        if message.partition() == 1:
            eventually(
                lambda: bench.loop._ownership.assignment.selected([OURS])[0].closing.closed, SECONDS, "the revocation waits"
            )
            tried.append(attempt)
            if attempt == 1:
                raise ValueError(7)
            return
        eventually(lambda: partition.closing.closed, SECONDS, "the partition is closed")
        turned, reported = bench.loop.turned_at, bench.loop.report.partitions
        eventually(lambda: tried == [1, 2], SECONDS, "what has failed is tried again")
        eventually(lambda: bench.loop.turned_at > turned, SECONDS, "the loop turns")
        eventually(lambda: bench.loop.report.partitions is not reported, SECONDS, "the report is made anew")
        for asked in ({OTHER: End(60, 60, "")}, {OTHER: End(-1, -1, "no leader"), OURS: End(20, 20, "")}):
            bench.group.ends.known = asked
            eventually(lambda: ends() == {0: asked.get(OURS, stale).latest, 1: 60}, SECONDS, "ends are new")  # noqa: B023

    bench.call = call
    bench.delays = {7: 0.01}
    bench.play(assign(), assign_other, deliver(0), deliver_other(0), until(lambda: len(bench.calls) == 2), revoke(), stop())

    assert tried == [1, 2]
    assert bench.done == {0}
    assert bench.loop.report.retrying == 0


# ---- the end of a wait ----


def test_a_stop_that_hurries_is_heard_in_a_revocation_that_began_before_it(bench: Bench) -> None:
    slow = UntilClosed(lambda: bench.loop.stop(Stop(Deadline(0.0), leave=False)))
    began = Deadline(SECONDS)
    bench.call = slow

    code = bench.play(assign(), deliver(0), until(lambda: bench.calls == [0]), revoke(), drain_seconds=2 * SECONDS)
    slow.release.set()

    assert not began.expired()
    assert code is ExitCode.OK
    assert bench.done == set()


def test_a_stop_that_hurries_is_heard_in_a_drain_that_began_by_itself(bench: Bench) -> None:
    slow = UntilClosed(lambda: bench.loop.stop(Stop(Deadline(0.0), leave=False)))
    began = Deadline(SECONDS)
    bench.call = slow

    code = bench.play(
        assign(),
        deliver(0),
        until(lambda: bench.calls == [0]),
        ends_with(ExitCode.NOT_AUTHORISED),
        drain_seconds=2 * SECONDS,
    )
    slow.release.set()

    assert not began.expired()
    assert code is ExitCode.NOT_AUTHORISED


def test_handlers_are_told_of_a_deadline_that_was_brought_forward(bench: Bench) -> None:
    told: List[bool] = []

    def call(_message: Any, partition: Partition, _attempt: int) -> None:
        eventually(lambda: partition.closing.deadline is not None, SECONDS, "the partition is closed")
        before, stopping = partition.closing.deadline or 0.0, bench.loop.stopping
        assert stopping
        stopping.deadline.hurry(1.0)
        eventually(lambda: (partition.closing.deadline or before) < before, SECONDS, "the deadline has come nearer")
        told.append(True)

    bench.call = call
    bench.play(assign(), deliver(0), until(lambda: bench.calls == [0]), stop(seconds=SECONDS))

    assert told == [True]


def test_a_revocation_in_a_long_drain_takes_no_longer_than_the_group_bears(bench: Bench) -> None:
    slow = UntilClosed(lambda: None)
    bench.call = slow

    def bear_little(_group: ScriptedGroup) -> List[Message]:
        bench.loop._ownership._longest_revocation = 0.01
        return []

    code = bench.play(
        assign(), deliver(0), until(lambda: bench.calls == [0]), bear_little, stop(seconds=3600.0), revoke(),
        drain_seconds=3600.0,
    )  # fmt: skip
    slow.release.set()

    assert code is ExitCode.OK  # nothing is left that would be cut off
    assert bench.done == set()


@pytest.mark.parametrize("code", [ExitCode.FENCED, ExitCode.FAULT])
def test_who_is_fenced_or_faulty_in_a_drain_neither_waits_nor_commits(bench: Bench, code: ExitCode) -> None:
    slow = UntilClosed(lambda: None)
    began = Deadline(SECONDS)
    bench.call = slow

    ended = bench.play(
        assign(), deliver(0), until(lambda: bench.calls == [0]), stop(leave=True, seconds=2 * SECONDS), ends_with(code),
        drain_seconds=2 * SECONDS,
    )  # fmt: skip
    slow.release.set()

    assert ended is code
    assert not began.expired()
    assert bench.group.commits == []
    assert bench.group.deeds == ["pause"]


def test_who_is_fenced_while_it_waits_for_its_last_commit_leaves_nothing_to_anybody(bench: Bench) -> None:
    code = bench.play(assign(), deliver(0), until(lambda: bench.done == {0}), stop(leave=True), ends_with(ExitCode.FENCED))

    assert code is ExitCode.FENCED
    assert bench.group.deeds == ["pause"]


@pytest.mark.parametrize("without", ["", "away", "joined"])
def test_who_gives_its_seat_up_waits_for_a_coordinator_while_other_brokers_answer(bench: Bench, without: str) -> None:
    """Where the client knows none its word is lost, and the seat stands still for a session."""

    def deaf(group: ScriptedGroup) -> List[Message]:
        group.deafness = 3
        group.away, group.joined = without == "away", without != "joined"
        return []

    bench.play(assign(), deaf, stop(leave=True))

    assert bench.group.deafness == (2 if without else -1), "and nobody waits where no broker answers, or there is no seat"
    assert [deed for deed in bench.group.deeds if deed != "pause"] == ["leave", "close"]


def test_who_gives_its_seat_up_is_heard_at_once_by_a_coordinator_far_away(bench: Bench) -> None:
    """Between continents a round trip takes a third of a second; to ask in vain until the time is over took each stop 15 s."""

    def far(group: ScriptedGroup) -> List[Message]:
        group.distance = 0.8
        return []

    bench.play(assign(), far, stop(leave=True))

    assert bench.group.deafness == -1


def test_who_ends_by_itself_with_everything_committed_does_not_speak_of_a_lost_commit(bench: Bench) -> None:
    code = bench.play(
        assign(),
        deliver(0),
        until(lambda: bench.committed == 1 and not bench.loop._ownership.committer._commits.in_flight),
        ends_with(ExitCode.NOT_AUTHORISED),
        commit_interval_seconds=0.001,
    )

    assert code is ExitCode.NOT_AUTHORISED
    assert bench.loop.report.cut_off == ()


@pytest.mark.parametrize("end", [revoke, stop])
def test_nobody_waits_for_a_retry_that_is_not_due_within_a_moment(bench: Bench, end: Callable[[], Step]) -> None:
    def fail(message: Any, _partition: Partition, _attempt: int) -> None:
        if message.offset() == 0:
            raise ValueError(0)

    bench.call = fail
    bench.delays = {0: 8.0}
    began = Deadline(8.0)
    code = bench.play(
        assign(),
        deliver(0, 1),
        until(lambda: bench.loop.report.retrying == 1 and 1 in bench.done),
        end(),
        stop(),
        drain_seconds=30.0,
    )

    assert code is ExitCode.OK
    assert not began.expired()
    assert bench.calls.count(0) == 1
