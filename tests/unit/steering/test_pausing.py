"""What an operator has paused starts and fetches nothing more, finishes what runs, commits, and loses nothing for it."""

from __future__ import annotations

import threading
from typing import Any, List, Optional

import pytest

from kafka_worker.kafka.outgoing import outbox
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.flow import Flow
from kafka_worker.pools import thread_pool
from kafka_worker.recovery import quarantine
from kafka_worker.recovery.quarantine import Quarantine
from kafka_worker.recovery.suspects_file import SuspectsFile
from kafka_worker.shared.configuration.words.place import Place
from kafka_worker.shared.ipc.orders import Order
from kafka_worker.shared.ipc.snapshot import PartitionReport, Waits
from tests.unit.fakes import TOPIC, Message, ScriptedGroup, Step, some_settings
from tests.unit.kafka.outgoing.desk import QuickProducer
from tests.unit.loops import Bench, assign, deliver, revoke, stop, until

PAUSE = Order(Place(TOPIC, 0), "the bank is away", "ops@host", 0.0)
WORDS = "the bank is away (ops@host)"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(outbox, "Producer", lambda *_, **__: QuickProducer())
    monkeypatch.setattr(thread_pool, "TURN_SECONDS", 1e-9)  # of a queue, to its end: one task
    return Bench(monkeypatch)


def order(bench: Bench, *orders: Order) -> Step:
    return lambda _: bench.loop.order(orders) or []  # type: ignore[func-returns-value]


def turns(count: int = 3) -> List[Step]:
    return [lambda _: [] for _ in range(count)]


def told(bench: Bench) -> PartitionReport:
    return bench.loop.report.partitions[0]


def test_nothing_of_what_comes_while_it_is_paused_is_started_and_all_of_it_comes_again(bench: Bench) -> None:
    seen: List[Any] = []

    def look(_group: ScriptedGroup) -> List[Message]:
        seen.append((list(bench.calls), told(bench).pause, told(bench).held, told(bench).head))
        return []

    bench.play(
        assign(), order(bench, PAUSE), *turns(), deliver(5, 6), *turns(), look,
        order(bench), *turns(), deliver(5, 6, 7), until(lambda: len(bench.done) == 3), stop(),
    )  # fmt: skip

    ((calls, pause, held, head),) = seen
    assert (calls, pause, held) == ([], WORDS, "")
    assert head is None or head.waits is Waits.OPERATOR
    assert bench.group.rewound == [5]
    assert sorted(bench.calls) == [5, 6, 7]
    assert bench.committed == 8


def test_the_end_behind_what_comes_again_is_not_committed(bench: Bench) -> None:
    """Told before the process goes by the pause, as where it has got the partition just now."""

    def come_and_end(group: ScriptedGroup) -> List[Message]:
        group.listener.on_end((TOPIC, 0), 7)
        return [Message(5), Message(6)]

    def begin(group: ScriptedGroup) -> List[Message]:
        group.held[TOPIC, 0] = (5, None)
        return []

    bench.play(begin, order(bench, PAUSE), assign(), come_and_end, *turns(30), revoke(), stop())

    assert bench.calls == []
    assert bench.group.rewound == [5]
    assert {offset for _, _, offset in bench.group.commits} <= {5}


def test_a_suspect_that_may_run_the_moment_it_has_let_others_pass_is_not_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([WORDS, "", ""])
    monkeypatch.setattr(Flow, "suspended", property(lambda _: next(looks)))
    line, task = quarantine._Line(), (7, None, None, None, 1, Partition(TOPIC, 0))
    line.put(task)

    assert line.pop() == task
    assert not line.passed


def test_all_that_comes_of_it_in_one_fetch_comes_again(bench: Bench) -> None:
    """The client keeps the order of a partition, not the partitions together."""
    mixed = [Message(5), Message(6), Message(0, partition=1), Message(7), Message(8)]
    bench.play(assign(), order(bench, PAUSE), *turns(), lambda _: mixed, *turns(), stop())  # fmt: skip

    assert min(bench.group.rewound) == 5
    assert bench.calls == []


def test_what_runs_is_finished_and_committed_and_what_is_queued_waits(bench: Bench) -> None:
    going, waits = threading.Event(), []

    def call(message: Message, _partition: Partition, _attempt: int) -> None:
        if message.offset() < 2:
            going.wait(10)

    def pause_and_let_go(_group: ScriptedGroup) -> Optional[List[Message]]:
        if told(bench).head and told(bench).pause:
            waits.append(told(bench).head)
            going.set()
            return []
        return None

    bench.call = call
    bench.play(
        assign(), deliver(0, 1, 2, 3), until(lambda: len(bench.calls) == 2), order(bench, PAUSE), pause_and_let_go,
        until(lambda: bench.done == {0, 1}), until(lambda: told(bench).watermark == 2), *turns(), revoke(), stop(),
    )  # fmt: skip

    assert sorted(bench.calls) == [0, 1]
    assert bench.committed == 2, "what is not started is not waited for, and what is done is committed"
    assert [head.waits for head in waits if head] == [Waits.RUNNING]


def test_who_goes_on_starts_what_was_queued_and_takes_no_position_for_what_was_not_kept(bench: Bench) -> None:
    going = threading.Event()
    bench.call = lambda message, *_: going.wait(10) if message.offset() < 2 else None
    heads: List[Any] = []

    def let_go(_group: ScriptedGroup) -> List[Message]:
        going.set()
        return []

    def look(_group: ScriptedGroup) -> List[Message]:
        heads.append(told(bench).head)
        return []

    bench.play(
        assign(), deliver(0, 1, 2, 3), until(lambda: len(bench.calls) == 2), order(bench, PAUSE), *turns(), let_go,
        until(lambda: told(bench).watermark == 2), look, order(bench), until(lambda: len(bench.done) == 4), stop(),
    )  # fmt: skip

    assert (heads[0].offset, heads[0].waits, heads[0].why) == (2, Waits.OPERATOR, WORDS)
    assert bench.group.rewound == []
    assert bench.committed == 4


def test_a_stop_waits_for_nothing_that_is_not_started(bench: Bench) -> None:
    going = threading.Event()
    bench.call = lambda message, *_: going.wait(10) if message.offset() == 0 else None

    def let_go(_group: ScriptedGroup) -> List[Message]:
        going.set()
        return []

    lane = [Message(0, b"a"), Message(1, b"a"), Message(2, b"b")]
    bench.play(
        assign(), lambda _: lane, until(lambda: bench.done == {2}), order(bench, PAUSE), *turns(), let_go,
        until(lambda: bench.done == {0, 2}), stop(seconds=60.0),
    )  # fmt: skip

    assert sorted(bench.calls) == [0, 2]
    assert bench.committed == 1


def test_suspects_of_what_is_paused_wait_and_let_others_pass() -> None:
    pool = type("Runner", (), {"undecided": None, "kept_back": None, "wake": None})
    quarantine = Quarantine(some_settings(), 0, pool, SuspectsFile(None))  # type: ignore[arg-type]
    paused, other = Partition(TOPIC, 0), Partition(TOPIC, 1)
    paused.flow.suspend(WORDS)
    tasks = [(7, partition.tracker.take(7)[0], Message(7), None, 1, partition) for partition in (paused, other)]
    for task in tasks:
        quarantine.admit(task)

    first = quarantine._queue.next()
    nobody = quarantine._queue.next()
    in_line = quarantine.in_line()
    paused.flow.suspend("")
    quarantine.look_again()

    assert (first, nobody, in_line) == (tasks[1], None, tasks[:1])
    assert quarantine._queue.next() == tasks[0]


def flow_of(*offsets: int) -> Flow:
    flow = Flow()
    if offsets:
        flow.keep([Message(offset) for offset in offsets])
    return flow


def test_what_can_not_be_read_is_still_told_first_and_stays_as_it_is() -> None:
    flow = flow_of(5)
    flow.unreadable("it is damaged", 6, 0.0)
    flow.suspend(WORDS)

    assert (flow.wrong, flow.waiting, flow.may_start) == ("it is damaged", 1, False)
