"""What is in a transaction, and what becomes of it: without a broker, and without its thread."""

from __future__ import annotations

from typing import List, Tuple

import pytest
from confluent_kafka import KafkaError, KafkaException

from kafka_worker.kafka.outgoing.record import OutgoingRecord
from kafka_worker.kafka.outgoing.refusals import RESEND_SECONDS, remedy
from kafka_worker.kafka.outgoing.transactions import PAUSE_SECONDS, TROUBLE_SECONDS
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.tracker import SEGMENT_SIZE
from tests.unit.fakes import TOPIC, Message
from tests.unit.kafka.outgoing.transacting import ABORT, GONE, REFUSED, Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize(
    ("done", "sends", "reach", "sent"),
    [
        ([], [], 0, []),
        ([0, 1], [[2], [3]], 4, [2, 3]),
        ([0], [[3], [1]], 2, [1]),  # 2 runs: what is sent behind it waits
        ([1, 3], [[0], [2]], 4, [0, 2]),
        ([0], [[1, 4], [2]], 1, []),  # a batch is stored as a whole, or not at all
        ([0, 3], [[1, 4], [2]], 5, [1, 2]),
        ([], [[0], [1, 5], [2, 3], [4, 9]], 1, [0]),
        (list(range(9)), [[9]], 10, [9]),
    ],
)
def test_a_transaction_has_the_offset_and_what_all_tasks_below_it_send(
    bench: Bench, done: List[int], sends: List[List[int]], reach: int, sent: List[int]
) -> None:
    bench.done(*done)
    for offsets in sends:
        bench.send(*offsets)
    job = bench.commit()

    assert job
    assert (job.places, job.group_metadata) == ([("topic", 0, reach, "map")], "member")
    assert bench.sent == sent
    assert bench.partition.tracker.watermark() <= reach
    bench.over()
    assert bench.partition.tracker.watermark() == reach
    assert list(bench.ours.answers) == [([("topic", 0, reach)], None)]
    assert bench.partition.flow.in_transit == len(sends) - len(sent)


def test_a_batch_is_stored_also_across_a_hole_that_ends_a_segment(bench: Bench) -> None:
    bench.partition.tracker.take(SEGMENT_SIZE + 1)
    bench.done(*range(9))
    bench.send(9, SEGMENT_SIZE + 1)

    assert bench.ours.reach(bench.partition) == SEGMENT_SIZE + 2


def test_tasks_stay_in_flight_until_their_transaction_is_committed_and_one_is_under_way_at_a_time(bench: Bench) -> None:
    bench.send(0, count=2)
    before = bench.ours.ready
    bench.commit()
    meanwhile = (
        bench.partition.tracker.watermark(),
        bench.commit(),
        bench.ours.in_transit,
        bench.ours.highest(bench.partition),
    )
    bench.over(ABORT)
    paused = (bench.ours.ready, bench.commit())
    bench.now += PAUSE_SECONDS
    bench.turn()

    assert (before, meanwhile, paused) == (True, (0, None, 1, 0), (False, None))
    assert bench.partition.tracker.watermark() == 1
    assert [error for _, error in bench.ours.answers] == [ABORT, None]


def test_who_of_many_was_refused_is_found_out_one_by_one_and_the_others_go_on(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="kafka_worker")
    for offset in (0, 1, 2):
        bench.send(offset)
    bench.turn(REFUSED, blamed=(0, 1))  # of one batch
    bench.now += PAUSE_SECONDS
    first, second = bench.turn(), bench.turn(REFUSED, blamed=(1,))
    held = (bench.partition.flow.held, bench.ours.unstored["result", TOPIC], bench.ours.reach(bench.partition))
    bench.now += RESEND_SECONDS
    third = bench.turn()
    bench.commit()

    assert (first, second, third, bench.sent) == ([0], [1], [1], [2])
    assert held == (f"a result can't be stored in out: {REFUSED.str()}. To mend it, {remedy(REFUSED)}", 1, 1)
    assert (bench.partition.flow.held, bench.ours.unstored["result", TOPIC]) == ("", 0)
    assert [vars(each)["event"] for each in caplog.records] == ["partition-held", "partition-goes-on"]


def test_what_was_refused_is_tried_without_others_until_it_is_stored_also_if_it_was_alone_at_first(bench: Bench) -> None:
    bench.send(0)
    tries = [bench.turn(REFUSED, blamed=(0,))]
    bench.send(1)
    for error in (REFUSED, ABORT, None):
        bench.now += RESEND_SECONDS
        tries.append(bench.turn(error, blamed=(0,) if error is REFUSED else ()))
    bench.commit()

    assert (tries, bench.sent) == ([[0]] * 4, [1])


def test_one_that_is_refused_above_others_keeps_none_below_it(bench: Bench) -> None:
    for offset in (0, 1, 2):
        bench.send(offset)
    bench.turn(REFUSED, blamed=(1,))  # its records go elsewhere
    bench.now += PAUSE_SECONDS
    first, second = bench.turn(), bench.turn(REFUSED, blamed=(1,))

    assert (first, second) == ([0], [1])
    assert bench.partition.flow.held == f"a result can't be stored in out: {REFUSED.str()}. To mend it, {remedy(REFUSED)}"


def test_a_topic_that_is_not_there_holds_who_sends_there_and_others_that_do_wait_without_another_try(bench: Bench) -> None:
    bench.send(0)
    bench.send(1, to="gone")
    bench.turn(GONE, blamed=(1,))
    held = bench.partition.flow.held
    other = Partition("topic", 1)
    segment, _ = other.tracker.take(0, 1)
    record = OutgoingRecord("gone", None, b"", [])
    bench.ours.send("dead letter", (0, segment, Message(0), None, 1, other), record, lambda _task: None)
    bench.now += PAUSE_SECONDS
    sent = bench.turn()
    meanwhile = (bench.ours.reach(bench.partition), bench.ours.reach(other), bench.ours.ready)
    bench.now += RESEND_SECONDS

    assert held == "a result can't be stored in gone: Broker: Unknown topic or partition. To mend it, create the topic"
    assert (sent, meanwhile) == ([0], (1, 0, False))
    assert (bench.ours.reach(bench.partition), bench.ours.reach(other)) == (2, 1)


def test_a_batch_in_doubt_that_others_lie_within_is_stored_with_them_and_till_then_keeps_no_other_partition(
    bench: Bench,
) -> None:
    other = Partition("topic", 1)
    segment, _ = other.tracker.take(0, 1)
    bench.done(0, 3)
    for offsets in ([1, 4], [2]):
        bench.send(*offsets)
    bench.turn(GONE, blamed=(1,))
    held = bench.partition.flow.held  # the two can't be told apart, so it is known who it was
    bench.now += RESEND_SECONDS
    again = bench.turn()

    late = Bench()
    late.send(1, 4)
    late.ours._in_doubt.update(late.ours._parcels[late.partition])  # while 0, 2 and 3 run
    record = OutgoingRecord("out", None, b"", [])
    late.ours.send("result", (0, segment, Message(0), None, 1, other), record, lambda _task: None)

    assert held == "a result can't be stored in out: Broker: Unknown topic or partition. To mend it, create the topic"
    assert again == [1, 2] and bench.partition.tracker.watermark() == 5
    assert (late.ours.reach(late.partition), late.ours.reach(other)) == (0, 1)


def test_what_is_refused_of_a_partition_that_has_gone_meanwhile_is_not_counted_as_unstored(bench: Bench) -> None:
    bench.send(0)
    bench.commit()
    bench.partition.closing.forget()
    bench.ours.serve()
    bench.over(GONE, blamed=(0,))

    assert bench.ours.unstored["result", TOPIC] == 0
    assert bench.partition.flow.held == ""


def test_what_the_client_refused_at_once_before_may_be_held_by_the_broker_now(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.send(0)
    bench.turn(KafkaError(KafkaError._UNKNOWN_TOPIC), blamed=(0,), at_once=True)
    bench.now += 30.0  # it is not told again at once
    job = bench.commit()
    assert job
    job.error = job.parcels[0].problem = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    bench.by_hand.over.append(job)
    bench.ours_serve()

    assert bench.failed == []
    assert bench.partition.flow.held
    assert "raise max.message.bytes of that topic, or set KAFKA_PRODUCER_COMPRESSION_TYPE=zstd" in caplog.text


def test_what_the_client_itself_can_not_take_is_a_failure_of_its_call(bench: Bench) -> None:
    bench.send(0)
    bench.turn(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), blamed=(0,), at_once=True)

    assert [type(problem) for problem in bench.failed] == [KafkaException]
    assert bench.ours.highest(bench.partition) == -1


def test_of_a_partition_that_goes_away_what_can_be_stored_is_waited_for_and_nothing_else(bench: Bench) -> None:
    bench.done(0)
    for offset in (1, 2, 4, 6):
        bench.send(offset)
    bench.partition.closing.close(None)
    whole = bench.ours.abandon()
    bench.partition.closing.abandon(3)  # it waits for an hour
    given_up = [task[0] for task in bench.ours.abandon()]
    bench.partition.closing.forget()
    bench.ours.serve()

    assert (whole, given_up) == ([], [4, 6])
    assert bench.ours.highest(bench.partition) == -1


@pytest.mark.parametrize("over", [False, True], ids=["still", "just back"])
def test_another_client_takes_the_place_of_one_that_does_not_come_back_but_not_for_brokers_that_are_away_or_our_own_sleep(
    bench: Bench, *, over: bool
) -> None:
    """It may wait for a broker that is no more without an end. What brokers that are away cost is an answer each time."""

    def hangs(seconds: int, *, answered: bool = False) -> Tuple[bool, int]:
        for _ in range(seconds):
            bench.now += 1.0
            bench.by_hand.step += answered
            said = bench.ours.hangs()
        return said, bench.by_hand.replaced

    bench.send(0)
    bench.commit()
    bench.by_hand.step = 1
    away = hangs(100, answered=True)
    bench.now += 100.0
    slept = hangs(8)
    bench.by_hand.over.extend(bench.by_hand.jobs if over else [])
    back = hangs(8)
    bench.now += PAUSE_SECONDS
    again = bench.commit() is not None and bench.sent == [0]
    bench.by_hand.step = 1  # of the other
    fresh = hangs(8)

    assert (away, slept, back, fresh) == ((False, 0), (False, 0), (False, 1), (False, 1))
    assert again != over, "what it has done at the last moment counts, and what it has not is done by the other"


def test_of_a_client_that_may_have_committed_no_other_takes_the_place(bench: Bench) -> None:
    bench.by_hand.step, bench.by_hand.committing = 1, True
    said = []
    for _ in range(62):
        said.append(bench.ours.hangs())
        bench.now += 1.0

    assert (said[59], said[61], bench.by_hand.replaced) == (False, True, 0)


def test_that_none_is_committed_for_a_while_is_told(bench: Bench) -> None:
    bench.send(0)
    bench.turn(ABORT)
    early = bench.ours.trouble
    bench.now += TROUBLE_SECONDS
    late = bench.ours.trouble
    bench.commit()
    bench.now += TROUBLE_SECONDS
    bench.by_hand.waits = "no coordinator"
    endless = bench.ours.trouble
    bench.over()

    assert (early, late, bench.ours.trouble) == ("", "no transaction is committed: moved on", "")
    assert endless == "a transaction has no end: no coordinator"


def test_what_is_refused_for_its_record_is_told_of_its_partition_and_not_as_if_nothing_were_committed(bench: Bench) -> None:
    bench.send(0)
    bench.turn(GONE, blamed=(0,))
    bench.now += TROUBLE_SECONDS

    assert bench.ours.trouble == ""
    assert "can't be stored" in bench.partition.flow.wrong
