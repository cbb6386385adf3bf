"""The consumer thread's loop, on a group that plays a script and with real handler threads."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Dict, List, Tuple

import pytest

from kafka_worker.kafka.incoming.backpressure import OVERHEAD
from kafka_worker.partitions import commits
from kafka_worker.partitions.assignment import Partition
from kafka_worker.recovery.recovery import Recovery
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.system import memory
from kafka_worker.shared.system.deadline import Deadline
from tests.support.eventually import eventually
from tests.unit.fakes import TOPIC, Message, ScriptedGroup, Step
from tests.unit.loops import Bench, assign, deliver, lose, revoke, stop, until


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_what_is_done_is_committed(bench: Bench) -> None:
    code = bench.play(assign(), deliver(0, 1, 2), until(lambda: bench.done == {0, 1, 2}), stop())

    assert code is ExitCode.OK
    assert bench.committed == 3


def test_messages_of_a_partition_that_was_taken_away_are_dropped_and_counted(bench: Bench) -> None:
    bench.play(assign(), revoke(), deliver(0, 1), stop())

    assert bench.calls == []
    assert bench.loop.report.dropped == 2


class OnProbation:
    """For as long as nobody ends it."""

    on, careful = True, False

    def __init__(self, *_: Any) -> None:
        pass

    def receive(self, _partitions: List[Partition]) -> List[Partition]:
        return []

    def arrived(self) -> Dict[Partition, int]:
        return {}

    def turn(self, _now: float) -> None:
        pass

    def stop(self) -> None:
        self.on = False


def test_what_came_during_a_probation_that_a_rebalance_ends_is_not_left_to_threads_that_sleep(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kafka_worker.loop.Probation", OnProbation)
    bench.play(
        assign(),
        deliver(0, 1),
        until(lambda: not bench.parts.pool._tokens.qsize()),  # type: ignore[attr-defined]
        lambda group: group.listener.on_revoked([("another", 0)]) or [],  # type: ignore[func-returns-value]
        until(lambda: bench.done == {0, 1}),
        stop(),
    )

    assert bench.played


def test_offsets_that_go_back_begin_anew(bench: Bench) -> None:
    bench.play(
        assign(),
        deliver(*range(10)),
        until(lambda: len(bench.done) == 10),
        deliver(0, 1),
        until(lambda: bench.calls.count(1) == 2),
        stop(),
    )

    assert bench.committed == 2


def test_a_result_from_before_offsets_went_back_does_not_count(bench: Bench) -> None:
    old, new = threading.Event(), threading.Event()
    bench.call = lambda *_: (old if len(bench.calls) == 1 else new).wait(10)
    bench.play(
        assign(),
        deliver(5),
        until(lambda: bench.calls == [5]),
        deliver(5),
        until(lambda: bench.calls == [5, 5]),
        until(lambda: old.set() or 5 in bench.done),  # type: ignore[func-returns-value]
        stop(seconds=0),
    )
    new.set()

    assert bench.committed == 5


def test_offsets_that_go_back_during_the_drain_start_nothing(bench: Bench) -> None:
    begun = threading.Event()

    def slow(message: Any, partition: Partition, _attempt: int) -> None:
        if message.offset() == 5:
            begun.set()
            eventually(lambda: partition.closing.forgotten, 10, "the drain has got the second batch")

    bench.call = slow
    bench.play(assign(), deliver(5), until(begun.is_set), stop(), deliver(0, 1))

    assert bench.calls == [5]


def test_a_revocation_waits_for_running_tasks_and_commits_them(bench: Bench) -> None:
    bench.call = until_closed
    bench.play(assign(), deliver(0, 1), until(lambda: len(bench.calls) == 2), revoke(), stop())

    assert bench.group.commits == [(TOPIC, 0, 2)]


def test_a_revocation_waits_for_the_gap_below_what_is_done_and_starts_nothing_above(bench: Bench) -> None:
    def first_until_closed(message: Any, partition: Partition, attempt: int) -> None:
        if message.offset() == 0:
            until_closed(message, partition, attempt)

    bench.call = first_until_closed
    lane = [Message(0, b"a"), Message(1, b"a"), Message(2, b"b"), Message(3, b"a")]
    bench.play(assign(), lambda _: lane, until(lambda: 2 in bench.done), revoke(), stop())

    assert sorted(bench.calls) == [0, 1, 2]
    assert bench.group.commits == [(TOPIC, 0, 3)]


def test_a_retry_that_comes_too_late_does_not_keep_a_revocation_from_the_gap_below_it(bench: Bench) -> None:
    def fail_the_first_time(message: Any, _partition: Partition, attempt: int) -> None:
        if attempt == 1 and message.offset() != 1:
            raise ValueError(message.offset())

    bench.call = fail_the_first_time
    bench.delays = {0: 0.2, 2: 3600.0}
    bench.play(assign(), deliver(0, 1, 2), until(lambda: bench.loop.report.retrying == 2), revoke(), stop())

    assert bench.group.commits == [(TOPIC, 0, 2)]


def test_lost_partitions_are_not_committed(bench: Bench) -> None:
    bench.play(assign(), deliver(0, 1), until(lambda: bench.done == {0, 1}), lose(), stop())

    assert bench.group.commits == []


@pytest.mark.parametrize(
    ("fetched", "again"),
    [((0, 0, 1), [0, 1]), ((5, 6, 9, 2, 3), [2, 3]), ((4, 4), [4]), ((7, 8, 3, 5, 1), [1])],
    ids=["to the first message", "with holes", "to itself", "twice"],
)
def test_offsets_that_go_back_within_one_batch_begin_the_partition_anew(
    bench: Bench, fetched: Tuple[int, ...], again: List[int]
) -> None:
    """As a topic that was made anew between two answers of the broker, which the client delivers together."""

    def all_done() -> bool:
        (anew,) = bench.loop._ownership.assignment
        return anew.tracker.watermark() == again[-1] + 1

    code = bench.play(assign(), deliver(*fetched), until(all_done), stop())

    assert code is ExitCode.OK
    assert set(again) <= bench.done
    assert bench.committed == again[-1] + 1


@pytest.mark.parametrize("end", [lose, revoke, lambda: deliver(0)], ids=["lost", "revoked", "went back"])
def test_memory_is_given_back_only_when_no_task_can_start_any_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, end: Callable[[], Step]
) -> None:
    """Else a task that starts a moment later would write its end into what is somebody else's memory by then."""
    revoked: List[bool] = []
    for name in ("ended", "void"):
        monkeypatch.setattr(Recovery, name, lambda _self, partition: revoked.append(partition.closing.forgotten))

    bench.play(assign(), deliver(5), until(lambda: bench.done == {5}), end(), stop())

    assert revoked
    assert all(revoked)


def test_soon_after_an_assignment_the_broker_holds_a_commit_of_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what is done from then on is not found again after a death. Also where there is nothing new to commit."""
    monkeypatch.setattr(commits, "SOON", 0.01)
    monkeypatch.setattr(ScriptedGroup, "committed", lambda _self, names, _timeout: dict.fromkeys(names, (7, "")))

    bench.play(assign(), until(lambda: bench.group.commits), stop())

    assert bench.group.commits == [(TOPIC, 0, 7)]


def test_it_holds_one_soon_after_the_first_message_where_nothing_was_ever_committed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commits, "SOON", 0.01)
    release = threading.Event()
    bench.call = lambda *_: release.wait(10)

    def let_go(_group: ScriptedGroup) -> List[Message]:
        release.set()
        return []

    bench.play(assign(), deliver(5), until(lambda: bench.calls and bench.group.commits), let_go, stop())

    assert bench.group.commits == [(TOPIC, 0, 5), (TOPIC, 0, 6)]


def test_leaving_happens_only_when_asked_for(bench: Bench) -> None:
    bench.play(assign(), stop(leave=True))

    assert bench.group.deeds[-2:] == ["leave", "close"]


def test_a_seat_is_kept_by_closing_without_leaving(bench: Bench) -> None:
    bench.play(assign(), stop(leave=False))

    assert bench.group.deeds[-1] == "close"
    assert "leave" not in bench.group.deeds


def test_the_drain_deadline_cuts_off_what_runs_and_says_so(bench: Bench) -> None:
    release = threading.Event()
    bench.call = lambda *_: release.wait(10)

    code = bench.play(assign(), deliver(0), until(lambda: bench.calls == [0]), stop(seconds=0))
    release.set()

    assert code is ExitCode.GAVE_UP
    assert "topic[0] offset 0" in bench.loop.report.cut_off[0]
    assert bench.committed == 0


def test_a_child_that_was_never_let_in_does_not_speak_of_commits(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    def refused(group: Any) -> List[Message]:
        group.ending = ExitCode.NOT_AUTHORISED
        return []

    ended = bench.play(refused)

    assert ended is ExitCode.NOT_AUTHORISED
    assert "commit" not in caplog.text


@pytest.mark.parametrize("code", [ExitCode.FENCED, ExitCode.FAULT])
def test_a_fenced_or_faulty_child_commits_nothing_and_leaves_nothing(bench: Bench, code: ExitCode) -> None:
    def end(group: Any) -> List[Message]:
        group.ending = code
        return []

    ended = bench.play(assign(), deliver(0), until(lambda: bench.done == {0}), end)

    assert ended is code
    assert bench.group.commits == []
    assert bench.group.deeds == []


def test_a_child_that_is_fenced_by_itself_after_a_loss_joins_anew(bench: Bench) -> None:
    def fenced(group: ScriptedGroup) -> List[Message]:
        group.ending, group.lost = ExitCode.FENCED, True
        return []

    code = bench.play(assign(), lose(), fenced, assign(), deliver(0), until(lambda: bench.done == {0}), stop())

    assert code is ExitCode.OK
    assert bench.committed == 1


def until_closed(_message: Any, partition: Partition, _attempt: int) -> None:
    eventually(lambda: partition.closing.closed, 10, "the partition is closed")


class FromRetryTopic(Message):
    """A message of the retry topic, due in so many seconds."""

    def __init__(self, offset: int, wait: float) -> None:
        super().__init__(offset)
        due = ("due-at", round(1000 * (time.time() + wait)))
        told = [("partition", 0), ("offset", 40 + offset), ("timestamp", 1500), ("attempt", 2), due, ("first-failed-at", 1)]
        self.given_headers = [("retry.topic", TOPIC.encode()), *((f"retry.{key}", b"%d" % value) for key, value in told)]

    def topic(self) -> str:
        return TOPIC + ".retry.1h"


def test_of_a_retry_topic_what_is_due_runs_and_a_stop_does_not_wait_for_the_rest(bench: Bench) -> None:
    name = (TOPIC + ".retry.1h", 0)
    asked = Deadline(5.0)
    code = bench.play(
        lambda group: group.listener.on_assigned([name]) or [],  # type: ignore[func-returns-value]
        lambda _: [FromRetryTopic(0, 8.0), FromRetryTopic(1, 0.0), FromRetryTopic(2, 3600.0)],
        until(lambda: bench.done == {41}),
        stop(),
        ordering="key",
        retry_topics=("1h",),
    )

    assert code is ExitCode.OK
    assert not asked.expired()
    assert bench.calls == [41]
    assert bench.group.commits[-1] == (*name, 0)


def test_what_sleeps_from_a_retry_topic_is_weighed_like_all_else(bench: Bench) -> None:
    name = (TOPIC + ".retry.1h", 0)
    large = FromRetryTopic(0, 3600.0)
    seen: List[Any] = []
    large._value = bytes(10 * memory.MEBIBYTE)  # more than may be in flight

    def look(_group: ScriptedGroup) -> List[Message]:
        seen.extend((partition.tracker.weight, partition.flow.waiting) for partition in bench.loop._ownership.assignment)
        return []

    bench.play(
        lambda group: group.listener.on_assigned([name]) or [],  # type: ignore[func-returns-value]
        lambda _: [large],
        lambda _: [FromRetryTopic(1, 3600.0)],
        look,
        stop(),
        retry_topics=("1h",),
        memory_limit=str(memory.SUPERVISOR_BYTES + memory.LEAST_BYTES),
    )

    assert seen == [(10 * memory.MEBIBYTE + OVERHEAD, 1)]
