from __future__ import annotations

from typing import Dict, Set

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.tracker import DONE, OPEN, SEGMENT_SIZE, Segment, Tracker


def tracker() -> Tracker:
    return Partition("topic", 0).tracker


def test_watermark_is_unknown_before_the_first_message() -> None:
    assert tracker().watermark() == -1


def test_watermark_stops_at_the_first_unfinished_offset() -> None:
    t = tracker()
    segment, fitted = t.take(100, 5)

    for offset in (100, 101, 103, 104):
        segment.complete(offset)

    assert fitted == 5
    assert t.watermark() == 102
    assert t.in_flight == 1


def test_watermark_is_the_next_offset_when_everything_is_done() -> None:
    t = tracker()
    segment, _ = t.take(7)

    segment.complete(7)

    assert t.watermark() == 8


def test_watermark_passes_holes_in_the_offsets() -> None:
    t = tracker()
    for offset in (10, 15, 15 + 3 * SEGMENT_SIZE):
        segment, _ = t.take(offset)
        segment.complete(offset)

    assert t.watermark() == 16 + 3 * SEGMENT_SIZE
    assert t.in_flight == 0


def test_frontier_lies_behind_the_highest_offset_done() -> None:
    t = tracker()
    segment, _ = t.take(0, 10)
    segment.complete(6)

    assert t.frontier() == 7


def test_holes_do_not_move_the_frontier() -> None:
    t = tracker()
    t.take(0)
    t.take(10)

    assert t.frontier() == -1


def test_a_batch_that_does_not_fit_one_segment_goes_on_in_the_next() -> None:
    t = tracker()
    t.take(0, SEGMENT_SIZE - 2)

    segment, fitted = t.take(SEGMENT_SIZE - 2, 10)
    following, rest = t.take(SEGMENT_SIZE, 8)

    assert (fitted, rest) == (2, 8)
    assert following is not segment


def test_taking_an_offset_twice_is_refused() -> None:
    t = tracker()
    t.take(5)

    with pytest.raises(ValueError, match="offset 5 was delivered after 5"):
        t.take(5)


def test_one_task_that_waits_while_a_million_behind_it_are_done_costs_next_to_nothing() -> None:
    """Neither memory nor time: each turn of the loop asks how many are in flight."""
    t = tracker()
    for number in range(1000):
        segment, _ = t.take(number * SEGMENT_SIZE, SEGMENT_SIZE)
        segment.flags[:] = b"%c" % DONE * SEGMENT_SIZE
        segment.flags[0] = OPEN if number == 0 else DONE
        assert t.in_flight == 1

    assert len(t.segments()) == 1
    assert t.watermark() == 0
    assert t.frontier() == 1000 * SEGMENT_SIZE
    assert t.done_beyond(0) == [(1, 1000 * SEGMENT_SIZE)]


class Model(RuleBasedStateMachine):
    """Against the plainest model: a dictionary of offsets."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker = tracker()
        self.open: Dict[int, Segment] = {}
        self.taken: Set[int] = set()
        self.next = 0
        self.started = False

    @rule(gap=st.sampled_from([0, 0, 0, 1, 5, SEGMENT_SIZE - 1, SEGMENT_SIZE, 3 * SEGMENT_SIZE]), count=st.integers(1, 600))
    def take(self, gap: int, count: int) -> None:
        offset, taken = self.next + gap, count
        while count:
            segment, fitted = self.tracker.take(offset, count)
            self.open.update(dict.fromkeys(range(offset, offset + fitted), segment))
            offset, count = offset + fitted, count - fitted
        self.taken.update(range(offset - taken, offset))
        self.next, self.started = offset, True

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def complete_some(self, data: st.DataObject) -> None:
        some = data.draw(st.lists(st.sampled_from(sorted(self.open)), min_size=1, max_size=50, unique=True))
        for offset in some:
            self.open.pop(offset).complete(offset)

    @precondition(lambda self: self.open)
    @rule()
    def complete_all_but_the_last(self) -> None:
        for offset in sorted(self.open)[:-1]:
            self.open.pop(offset).complete(offset)

    @rule()
    def commit(self) -> None:
        self.tracker.committed(max(0, self.tracker.watermark()))

    @invariant()
    def what_is_done_beyond_the_watermark_is_known(self) -> None:
        watermark = self.tracker.watermark()
        ranges = self.tracker.done_beyond(watermark)
        known = {offset for first, behind in ranges for offset in range(first, behind)}
        assert set(range(max(0, watermark), self.next)) - known == set(self.open)  # holes count as done, wherever they are
        assert ranges == sorted(ranges)
        assert not ranges or ranges[0][0] >= watermark

    @invariant()
    def the_frontier_is_not_before_what_is_done_beyond_the_watermark(self) -> None:
        done = self.taken - set(self.open)
        if done and max(done) >= self.tracker.watermark():
            assert self.tracker.frontier() > max(done)
        assert self.tracker.frontier() <= self.next

    @invariant()
    def what_is_remembered_follows_from_what_is_open(self) -> None:
        assert self.tracker.in_flight == len(self.open)
        assert len(self.tracker.segments()) <= len(self.open) + 1

    @invariant()
    def watermark_is_the_lowest_open_offset(self) -> None:
        expected = min(self.open) if self.open else (self.next if self.started else -1)
        assert self.tracker.watermark() == expected

    @invariant()
    def in_flight_is_what_is_open(self) -> None:
        assert self.tracker.in_flight == len(self.open)


Model.TestCase.settings = settings(stateful_step_count=25)
TestTrackerAgainstAModel = Model.TestCase
