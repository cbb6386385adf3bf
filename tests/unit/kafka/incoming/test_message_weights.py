from __future__ import annotations

from typing import List

from kafka_worker.kafka.incoming.backpressure import OVERHEAD, MessageWeights
from kafka_worker.partitions import intake
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.tracker import DONE, RUNNING, SEGMENT_SIZE
from tests.unit.fakes import Message

LIMIT = 100  # messages
BYTES = 100 * 10_000


class Process:
    """One partition of a process with these limits."""

    def __init__(self) -> None:
        self.partition = Partition("topic", 0)
        self.weights = MessageWeights(BYTES, LIMIT)

    def take(self, first: int, *sizes: int) -> None:
        batch = [Message(first + number, value=bytes(size)) for number, size in enumerate(sizes)]
        intake.tasks(self.partition, batch, None)
        self.weights.note(self.partition, batch)

    def complete(self, *offsets: int, flag: int = DONE) -> None:
        for offset in offsets:
            segment = next(s for s in self.partition.tracker.segments() if s.base <= offset < s.base + s.taken)
            segment.flags[offset + segment.shift] = flag

    def counted(self) -> List[int]:
        number = self.partition.tracker.in_flight
        return [weight for _, _, weight, _ in self.weights.weighed([(self.partition, number, number, 1)])]


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


def test_the_next_message_is_expected_to_weigh_as_the_last_of_its_partition_or_of_any() -> None:
    process, other, fresh = Process(), Partition("topic", 1), Partition("topic", 2)
    process.take(0, 100_000 - OVERHEAD, 200_000 - OVERHEAD)
    process.take(2, 300_000 - OVERHEAD)
    intake.tasks(other, [Message(0, value=bytes(10))], None)
    process.weights.note(other, [Message(0, value=bytes(10))])

    loads = process.weights.weighed([(process.partition, 3, 3, 1), (other, 1, 1, 1), (fresh, 0, 0, 1)])

    assert [(weight, step) for _, _, weight, step in loads] == [(60, 30), (1, 1), (0, 1)]
