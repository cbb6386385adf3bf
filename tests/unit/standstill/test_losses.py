"""What was gone before it was done is told as lost, and nothing else is."""

from __future__ import annotations

from typing import Any, List, Tuple

import pytest

from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.stored import UNKNOWN
from kafka_worker.recovery.offset_map import encode
from kafka_worker.shared.ipc import health
from kafka_worker.shared.ipc.snapshot import LossReport
from kafka_worker.standstill.losses import TOLD_SECONDS, Losses
from tests.unit.fakes import TOPIC, ScriptedGroup, Step
from tests.unit.loops import OURS, Bench, assign, deliver, stop, until
from tests.unit.reports import child, slot


def gone(offset: int) -> Step:
    return lambda group: group.listener.on_gone(OURS, offset) or []  # type: ignore[func-returns-value]


def ends_at(offset: int) -> Step:
    return lambda group: group.listener.on_end(OURS, offset) or []  # type: ignore[func-returns-value]


def told(bench: Bench) -> List[Tuple[int, int, int]]:
    assert sum(each.count for each in bench.loop.report.work if each.what == "messages_lost") == sum(
        each.count for each in bench.loop.report.lost
    )
    return [(each.first, each.last, each.count) for each in bench.loop.report.lost]


@pytest.mark.parametrize(
    ("held", "steps", "lost"),
    [
        ((3, None), [gone(3), deliver(8, 9)], [(3, 7, 5)]),
        ((3, encode("abcdefgh", UNKNOWN, 3, [(4, 6), (7, 9)])), [gone(3), deliver(8, 9)], [(3, 7, 2)]),
        ((3, None), [gone(3), ends_at(8)], [(3, 7, 5)]),
        ((3, None), [deliver(3, 4), gone(5), gone(0), deliver(8, 9)], [(5, 7, 3)]),
        ((3, None), [deliver(3), gone(5), deliver(4, 9), gone(10), deliver(12)], [(5, 11, 6)]),
        ((3, None), [deliver(3, 8, 9), ends_at(12)], []),  # markers of transactions, or what was compacted
        ((3, None), [gone(3), deliver(3, 4)], []),  # it was there after all
        ((3, None), [gone(3), deliver(0, 1), deliver(9)], []),  # the topic was made anew
    ],
)
def test_what_is_lost_is_what_lies_between_where_nothing_was_and_the_next_that_is_there_and_was_not_done_before(
    held: Tuple[int, Any], steps: List[Step], lost: List[Tuple[int, int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(monkeypatch)
    monkeypatch.setattr(ScriptedGroup, "committed", lambda *_: {OURS: held})

    bench.play(assign(), *steps, stop())

    assert told(bench) == lost


def test_what_is_lost_of_a_partition_is_told_when_it_is_known_what_was_done_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    answers = [{}, {OURS: (3, encode("abcdefgh", UNKNOWN, 3, [(4, 6)]))}]
    monkeypatch.setattr(ScriptedGroup, "committed", lambda *_: answers.pop(0))

    bench.play(assign(), gone(3), deliver(8, 9), until(lambda: bench.done == {8, 9}), stop())

    assert told(bench) == [(3, 7, 3)]


def test_a_loss_is_told_for_a_while_as_a_problem_with_its_place() -> None:
    now = [0.0]
    losses = Losses(lambda: now[0])
    partition = Partition(TOPIC, 7)
    losses.nothing_at(partition, 3)
    losses.goes_on(partition, 8)

    now[0] = TOLD_SECONDS - 1
    (condition,) = health.conditions("running", [slot(child=child(lost=losses.reports()))])
    now[0] += 1

    assert condition.kind == "messages-lost"
    assert f"5 messages of {TOPIC}[7], at offsets 3 to 7, were gone before they were done" in condition.text
    assert losses.reports() == []


def test_one_message_that_is_lost_is_told_as_one() -> None:
    loss = LossReport("orders", 3, 5, 5, 1, 7200.0)

    (condition,) = health.conditions("running", [slot(child=child(lost=[loss]))])

    told = "1 message of orders[3], at offset 5, was gone before it was done, as was found 120 minutes ago: "
    assert told in condition.text


def test_what_is_lost_while_nothing_is_fetched_is_told_then_and_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a paused partition the client tells nothing before it is resumed, when there is nothing left to be saved."""
    bench, seen = Bench(monkeypatch), []

    def begins_at(offset: int) -> Step:
        def step(_group: ScriptedGroup) -> List[Any]:
            (partition,) = bench.loop._ownership.assignment
            partition.flow.suspend("a look")
            partition.asked_first = offset
            return []

        return step

    def resume(_group: ScriptedGroup) -> List[Any]:
        (partition,) = bench.loop._ownership.assignment
        seen.append(told(bench))
        partition.flow.suspend("")
        return []

    monkeypatch.setattr(ScriptedGroup, "committed", lambda *_: {OURS: (3, None)})
    bench.play(assign(), begins_at(2), begins_at(8), begins_at(10), resume, gone(3), deliver(12), stop())

    assert seen == [[(3, 9, 7)]]
    assert told(bench) == [(3, 11, 9)]


def test_what_the_client_has_read_past_is_not_lost_and_what_comes_behind_the_end_may_be() -> None:
    """Markers of transactions are behind the last message, and nobody may have committed anything yet."""
    losses = Losses(lambda: 0.0)
    ours, empty = Partition(TOPIC, 0), Partition(TOPIC, 1)
    ours.tracker.take(3)
    ours.at_end(6)
    empty.at_end(0)

    for partition, offset in [(ours, 6), (ours, 8), (empty, 0), (empty, 2)]:
        losses.begins_at(partition, offset)

    lost = [(loss.partition, loss.first, loss.last, loss.count) for loss in losses.reports()]
    assert sorted(lost) == [(0, 6, 7, 2), (1, 0, 1, 2)]


def test_of_many_partitions_with_losses_some_are_told_and_the_others_counted() -> None:
    many = [LossReport("orders", number, 0, 9, 10, 1.0) for number in range(8)]

    texts = [each.text for each in health.conditions("running", [slot(child=child(lost=many))])]

    assert len(texts) == health.MOST_REASONS + 1
    assert texts[-1] == "slot 0: likewise gone: 30 messages of 3 more partitions (events)"
