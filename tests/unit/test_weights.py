from __future__ import annotations

from typing import List

from tests.unit.fakes import Message
from worker import intake
from worker.assignment import Partition
from worker.tracker import DONE, RUNNING, SEGMENT_SIZE
from worker.weights import OVERHEAD, Weights

LIMIT = 100  # messages
BYTES = 100 * 10_000


class Process:
    """One partition of a process with these limits."""

    def __init__(self) -> None:
        self.partition = Partition("topic", 0)
        self.weights = Weights(BYTES, LIMIT)

    def take(self, first: int, *sizes: int) -> None:
        batch = [Message(first + number, value=bytes(size)) for number, size in enumerate(sizes)]
        intake.tasks(self.partition, batch, None)
        self.weights.note(self.partition, batch)

    def complete(self, *offsets: int, flag: int = DONE) -> None:
        for offset in offsets:
            segment = next(s for s in self.partition.tracker.segments() if s.base <= offset < s.base + s.taken)
            segment.flags[offset + segment.shift] = flag

    def counted(self) -> List[int]:
        counts = [(self.partition, self.partition.tracker.in_flight)]
        return [count for _, count in self.weights.counted(counts)]


def test_light_messages_count_as_what_they_are() -> None:
    process = Process()
    process.take(0, *[100] * 50)

    assert process.counted() == [50]


def test_heavy_messages_count_for_as_many_as_they_weigh() -> None:
    process = Process()
    process.take(0, *[50_000 - OVERHEAD] * 15)

    assert process.counted() == [75]


def test_what_is_done_weighs_nothing_and_what_runs_does() -> None:
    process = Process()
    process.take(0, 1, 500_000 - OVERHEAD, 300_000 - OVERHEAD, 200_000)
    process.complete(0, 3)
    process.complete(1, flag=RUNNING)

    assert process.counted() == [80]


def test_the_large_one_that_is_left_of_many_small_ones_keeps_its_weight() -> None:
    process = Process()
    process.take(0, 900_000 - OVERHEAD, *[10] * 500)
    process.complete(*range(1, 501))

    assert process.counted() == [90]


def test_one_that_is_heavier_than_everything_allowed_fills_the_process() -> None:
    process = Process()
    process.take(0, 5 * BYTES)

    assert process.counted()[0] >= LIMIT


def test_batches_over_several_segments_and_with_holes_are_weighed_in_their_places() -> None:
    process = Process()
    process.take(0, *[10_000 - OVERHEAD] * (SEGMENT_SIZE + 10))
    process.take(SEGMENT_SIZE + 50, *[60_000 - OVERHEAD] * 3)
    before = process.counted()
    process.complete(*range(SEGMENT_SIZE))

    assert before == [SEGMENT_SIZE + 10 + 18]
    assert process.counted() == [28]
