"""A call that outlasts the loss of its partition is not made a second time beside itself when the partition is back."""

from __future__ import annotations

import threading
from typing import Any, Callable, List, Optional, Tuple
from unittest.mock import Mock

import pytest

from kafka_worker.draining import ongoing
from kafka_worker.kafka.outgoing import outbox
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.task import Task, why_void
from kafka_worker.partitions.tracker import Range
from kafka_worker.partitions.undecided import Returned
from kafka_worker.recovery.offset_map import encode
from kafka_worker.shared.configuration.words.place import Place
from kafka_worker.shared.foreign.answers import Send
from kafka_worker.shared.ipc.orders import Order
from kafka_worker.shared.ipc.snapshot import HeadReport, PartitionReport, Waits
from tests.support.eventually import eventually
from tests.unit.fakes import TOPIC, Message, ScriptedGroup, Step
from tests.unit.kafka.outgoing.desk import QuickProducer
from tests.unit.loops import Bench, assign, deliver, lose, revoke, stop, until

Outcome = Callable[[], Any]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(ongoing, "LOOK_SECONDS", 0.001)
    return Bench(monkeypatch)


class First:
    """The call of message 0, which lasts until it is let go, and the next ones of it, which do not."""

    def __init__(self, outcome: Outcome = lambda: None) -> None:
        self.gate = threading.Event()
        self._outcome: Optional[Outcome] = outcome

    def __call__(self, message: Any, _partition: object, _attempt: int) -> Any:
        if message.offset() or self._outcome is None:
            return None
        outcome, self._outcome = self._outcome, None
        assert self.gate.wait(10)
        return outcome()

    def let_go(self, _group: ScriptedGroup) -> List[Message]:
        self.gate.set()
        return []


def ours(bench: Bench) -> Partition:
    partition = bench.loop._ownership.assignment.get(TOPIC, 0)
    assert partition
    return partition


def told(bench: Bench) -> PartitionReport:
    return bench.loop.report.partitions[0]


def committed(bench: Bench, *done: Range, by: str = "") -> Step:
    """The broker holds offset 0, as this assignment (or another) has committed it."""

    def step(group: ScriptedGroup) -> List[Message]:
        stored = ours(bench).stored
        group.held[TOPIC, 0] = (0, encode(by or stored.names.own, stored.home, 0, list(done)))
        return []

    return step


def raises() -> None:
    raise ValueError("it fails after all")


def test_it_is_waited_for_and_done_when_it_returns_while_others_go_on(bench: Bench) -> None:
    bench.call = first = First()
    heads: List[Optional[HeadReport]] = []
    voids: List[str] = []

    def look(_group: ScriptedGroup) -> List[Message]:
        heads.append(told(bench).head)
        voids.extend(why_void(task) for _, task in bench.loop.shown())
        return []

    bench.play(
        assign(), deliver(0, 1), until(lambda: bench.done == {1}), committed(bench, (1, 2)), lose(), assign(),
        deliver(0, 1, 2), until(lambda: bench.done == {1, 2}), until(lambda: told(bench).in_flight == 1), look,
        first.let_go, until(lambda: told(bench).watermark == 3), revoke(), stop(),
    )  # fmt: skip

    assert sorted(bench.calls) == [0, 1, 2]
    assert bench.committed == 3
    (head,) = heads
    assert head
    assert (head.offset, head.waits, bool(head.thread)) == (0, Waits.RUNNING, True)
    assert voids == [""], "nobody is told that its partition is gone"


def test_when_it_is_over_nothing_keeps_its_message(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of calls may be known at a loss, and the next one may be days away."""
    monkeypatch.setattr(ongoing, "SELDOM_SECONDS", 0.0)
    bench.call = first = First()
    known: List[int] = []

    def look(_group: ScriptedGroup) -> List[Message]:
        known.append(len(bench.parts.ongoing._last))
        return []

    bench.play(
        assign(), deliver(0), until(lambda: bench.calls), committed(bench), lose(), assign(), look, first.let_go,
        until(lambda: not bench.parts.ongoing._last), look, revoke(), stop(),
    )  # fmt: skip

    assert known == [1, 0]


@pytest.mark.parametrize("end", [until, revoke], ids=["it goes on", "it is given up meanwhile"])
def test_what_it_returns_is_sent_and_it_is_done_with_that(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, end: Callable[..., Step]
) -> None:
    bench.call = first = First(lambda: Send("results", "sent"))
    producer = QuickProducer()
    monkeypatch.setattr(outbox, "Producer", lambda *_, **__: producer)
    both = [Message(0, b"key"), Message(1, b"key")]
    ends = until(lambda: told(bench).watermark == 2) if end is until else revoke()

    bench.play(
        assign(), lambda _: both, until(lambda: bench.calls), committed(bench), lose(), assign(), lambda _: both,
        until(lambda: told(bench).in_flight == 2), first.let_go, ends, stop(),
        ordering="key",
    )  # fmt: skip

    assert bench.calls.count(0) == 1
    assert [record["value"] for record in producer.letters] == [b"sent"]
    assert bench.committed == len(bench.calls)
    assert bench.parts.ongoing._held == {}


def test_what_a_batch_returns_is_of_no_use_while_a_part_of_it_has_not_come_again_since_the_last_loss() -> None:
    """That part would be called again, though what it sends is sent."""
    first, second, third = parts = [Partition(TOPIC, 0) for _ in range(3)]
    batches: List[List[Task]] = [[(n, p.tracker.take(n)[0], Message(n), None, 1, p) for n in (0, 1)] for p in parts]
    calls, before, now = batches
    for again in (second, third):
        again.stored.found_ours(first.stored.names.own)
    waiting = ongoing.Ongoing(lambda: [(Mock(), call) for call in calls], Mock(), Mock())
    waiting.receive([second])
    waiting.without(second, before)
    second.closing.forget()
    waiting.receive([third])

    waiting.without(third, now[:1])
    early = waiting.taken_over(Returned(calls, []))
    waiting.without(third, now[1:])

    assert (early, waiting.taken_over(Returned(calls, []))) == ([], now)


def test_it_is_made_again_when_it_fails_or_what_it_returned_means_nothing_any_more(bench: Bench) -> None:
    bench.call = first = First(raises)

    bench.play(
        assign(), deliver(0), until(lambda: bench.calls), committed(bench), lose(), assign(), deliver(0),
        until(lambda: told(bench).in_flight == 1), first.let_go, until(lambda: bench.done == {0}), revoke(), stop(),
    )  # fmt: skip

    assert bench.calls == [0, 0]
    assert bench.committed == 1


def test_what_waits_for_its_key_runs_after_it(bench: Bench) -> None:
    bench.call = first = First()
    both = [Message(0, b"key"), Message(1, b"key")]
    order: List[int] = []

    def after(_group: ScriptedGroup) -> List[Message]:
        order.extend(bench.calls)
        return first.let_go(_group)

    bench.play(
        assign(), lambda _: both, until(lambda: bench.calls), committed(bench), lose(), assign(), lambda _: both,
        until(lambda: told(bench).in_flight == 2), after, until(lambda: bench.done == {0, 1}), revoke(), stop(),
        ordering="key",
    )  # fmt: skip

    assert (order, bench.calls) == ([0], [0, 1])
    assert bench.committed == 2


def test_it_is_made_again_at_once_where_somebody_else_has_committed_meanwhile(bench: Bench) -> None:
    bench.call = first = First()

    bench.play(
        assign(), deliver(0), until(lambda: bench.calls), committed(bench, by="A" * 8), lose(), assign(), deliver(0),
        until(lambda: bench.done == {0}), first.let_go, revoke(), stop(),
    )  # fmt: skip

    assert bench.calls == [0, 0]


@pytest.mark.parametrize("delivered", [True, False])
def test_a_partition_that_is_lost_once_more_leaves_nothing_behind(bench: Bench, *, delivered: bool) -> None:
    """Whether the message has come in between or not: that assignment has committed, too."""
    bench.call = first = First()
    comes = [deliver(0), until(lambda: told(bench).in_flight == 1)] if delivered else []

    bench.play(
        assign(), deliver(0), until(lambda: bench.calls), committed(bench), lose(), assign(), *comes,
        committed(bench), lose(), assign(), deliver(0),
        until(lambda: told(bench).in_flight == 1), first.let_go, until(lambda: told(bench).watermark == 1), revoke(), stop(),
    )  # fmt: skip

    assert bench.calls == [0]
    assert bench.committed == 1
    assert bench.parts.ongoing._held == {}


@pytest.mark.parametrize("named_first", [False, True], ids=["it waits", "it is not delivered yet"])
def test_what_waits_for_a_call_can_be_parked_whatever_becomes_of_that(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, named_first: bool
) -> None:
    bench.call = first = First()
    producer = QuickProducer()
    monkeypatch.setattr(outbox, "Producer", lambda *_, **__: producer)
    both = [Message(0, b"key"), Message(1, b"key")]
    park = Order(Place(TOPIC, 0, 0), "it hangs", "ops@host", 0.0)

    def order(_group: ScriptedGroup) -> List[Message]:
        bench.loop.order((park,))
        return []

    def again(_group: ScriptedGroup) -> List[Message]:
        return both

    bench.play(
        assign(), again, until(lambda: bench.calls), committed(bench), lose(), assign(),
        *([order, again] if named_first else [again, until(lambda: told(bench).in_flight == 2), order]),
        until(lambda: told(bench).watermark == 2),
        until(lambda: [each.outcome for each in bench.loop.report.parked] == ["parked"]),
        first.let_go, until(lambda: bench.done == {0, 1}), revoke(), stop(),
        ordering="key",
    )  # fmt: skip

    assert bench.calls == [0, 1]
    assert len(producer.letters) == 1
    assert bench.committed == 2
    assert bench.parts.ongoing._held == {}


@pytest.mark.parametrize("end", [revoke, stop])
@pytest.mark.parametrize(("outcome", "calls"), [(lambda: None, [0]), (raises, [0, 0])], ids=["it returns", "it fails"])
def test_who_gives_its_partition_up_waits_for_it_as_for_any_other_call(
    bench: Bench, end: Callable[[], Step], outcome: Outcome, calls: List[int]
) -> None:
    bench.call = first = First(outcome)

    def when_given_up() -> None:
        closing = ours(bench).closing
        eventually(lambda: closing.closed, 5, "it is given up")
        first.gate.set()

    def soon(_group: ScriptedGroup) -> List[Message]:
        threading.Thread(target=when_given_up).start()
        return []

    bench.play(
        assign(), deliver(0), until(lambda: bench.calls), committed(bench), lose(), assign(), deliver(0),
        until(lambda: told(bench).in_flight == 1), soon, end(), stop(),
    )  # fmt: skip

    assert bench.calls == calls
    assert bench.committed == 1
    assert bench.parts.ongoing._held == {}


def test_of_a_retry_topic_it_is_made_again_as_the_attempt_that_it_is_of_the_topic_that_it_came_from(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, first = (f"{TOPIC}.retry.1h", 0), First(raises)
    seen: List[Tuple[str, int]] = []
    numbers = {"partition": 0, "offset": 0, "timestamp": 1500, "attempt": 2, "due-at": 1, "first-failed-at": 1}

    def call(message: Any, partition: Partition, attempt: int) -> Any:
        seen.append((message.topic(), int(attempt)))
        return first(message, partition, attempt)

    bench.call = call

    def delivered(_group: ScriptedGroup) -> List[Message]:
        message = Message(0)
        message.given_headers = [("retry.topic", TOPIC.encode()), *((f"retry.{key}", b"%d" % numbers[key]) for key in numbers)]
        monkeypatch.setattr(message, "topic", lambda: name[0])
        return [message]

    def assigned(group: ScriptedGroup) -> List[Message]:
        group.listener.on_assigned([name])
        return []

    def lost(group: ScriptedGroup) -> List[Message]:
        group.listener.on_lost([name])
        return []

    def held(group: ScriptedGroup) -> List[Message]:
        partition = bench.loop._ownership.assignment.get(*name)
        assert partition
        group.held[name] = (0, encode(partition.stored.names.own, partition.stored.home, 0, []))
        return []

    bench.play(
        assigned, delivered, until(lambda: seen), held, lost, assigned, delivered,
        until(lambda: bench.loop.report.partitions and told(bench).in_flight == 1), first.let_go,
        until(lambda: bench.done == {0}), stop(), retry_topics=("1h",),
    )  # fmt: skip

    assert seen == [(TOPIC, 2), (TOPIC, 2)]
