from __future__ import annotations

from kafka_worker.partitions.assignment import Assignment, Partition
from kafka_worker.partitions.queues import InOrderOfOffset
from kafka_worker.partitions.stored import UNKNOWN
from kafka_worker.partitions.tracker import Segment
from tests.unit.fakes import Message


def taken(partition: Partition, count: int) -> Segment:
    return partition.tracker.take(0, count)[0]


def test_a_partition_that_comes_back_is_a_new_one_and_the_old_one_is_forgotten() -> None:
    assignment = Assignment()
    old = assignment.add("t", 1)
    late = taken(old, 3)

    new = assignment.add("t", 1)
    late.complete(0)

    assert assignment.get("t", 1) is new
    assert old.closing.forgotten
    assert old.closing.closed
    assert new.tracker.watermark() == -1


def test_a_removed_partition_is_not_ours() -> None:
    assignment = Assignment()
    partition = assignment.add("t", 1)

    assignment.remove("t", 1)
    assignment.remove("t", 1)

    assert assignment.get("t", 1) is None
    assert len(assignment) == 0
    assert partition.closing.forgotten


def test_partitions_of_retry_topics_are_counted_as_they_come_and_go() -> None:
    assignment = Assignment(lambda topic, number: Partition(topic, number, retries_of="t" if topic == "t.retry" else ""))
    counts = []
    for change in (assignment.add, assignment.add, assignment.remove, assignment.remove):
        change("t", 0)
        change("t.retry", 0)
        counts.append(assignment.of_retries)

    assert counts == [1, 1, 0, 0]


def test_what_nobody_looks_at_any_more_is_neither_crowded_nor_blocked() -> None:
    partition = Assignment().add("t", 0)
    flow = partition.flow
    flow.keep([b"one"])
    flow.measure(1.0)
    flow.was_served()
    seen = [(flow.crowded, flow.moving)]
    flow.drop()
    flow.rest()

    assert [*seen, (flow.crowded, flow.moving)] == [(True, False), (False, True)]


def test_selected_leaves_out_what_is_not_ours() -> None:
    assignment = Assignment()
    ours = assignment.add("t", 1)
    assignment.add("t", 2)

    assert assignment.selected([("t", 1), ("t", 7), ("other", 2)]) == [ours]


def test_partitions_get_the_queue_of_the_ordering() -> None:
    assert isinstance(Partition("t", 0, InOrderOfOffset).queue, InOrderOfOffset)


def test_looked_at_is_what_something_goes_on_of_as_long_as_that_is_so_and_no_partition_that_is_gone() -> None:
    assignment = Assignment()
    busy, paused, held, again, gone = (assignment.add("t", number) for number in range(5))
    for partition in (busy, gone):
        partition.flow.keep([b"1"])
    for partition in (paused, again, gone):
        partition.flow.pause()
    for partition in (held, again, gone):
        partition.flow.unreadable("it is damaged", 3, 5.0)
    held.flow.suspend("for maintenance")
    assignment.remove("t", 4)
    gone.flow.try_again()
    gone.flow.suspend("for maintenance")
    attention = assignment.attention
    seen = [list(attention.busy), list(attention.paused), list(attention.held)]

    for partition in (held, again):
        partition.flow.try_again()
    paused.flow.resume()
    busy.flow.drop()
    busy.flow.rest()

    assert seen == [[busy], [paused, again], [held, again]]
    assert [list(attention.busy), list(attention.paused), list(attention.held)] == [[], [], [held]]


def test_close_closes_every_partition_with_the_deadline() -> None:
    assignment = Assignment()
    both = [assignment.add("t", number) for number in (0, 1)]

    assignment.close(12.5)

    assert [(each.closing.closed, each.closing.deadline) for each in both] == [(True, 12.5), (True, 12.5)]


def test_target_is_the_watermark_while_something_is_in_flight() -> None:
    partition = Partition("t", 0)
    taken(partition, 3).complete(0)
    partition.at_end(50)

    assert partition.target(position=60) == 1


def test_target_is_the_watermark_while_something_waits_to_be_taken_for_the_client_has_read_past_it() -> None:
    partition = Partition("topic", 0)
    partition.tracker.take(5)[0].complete(5)
    partition.flow.keep([b"6", b"7"])

    assert partition.target(position=8) == 6


def test_target_is_as_far_as_the_client_has_read_when_nothing_is_in_flight() -> None:
    partition = Partition("t", 0)
    taken(partition, 1).complete(0)

    assert partition.target(position=60) == 60


def test_target_of_a_partition_that_gave_no_message_is_its_end() -> None:
    partition = Partition("t", 0)
    partition.at_end(10)

    assert partition.target(position=-1001) == 10


def test_a_closed_partition_with_nothing_done_and_nothing_running_is_settled() -> None:
    partition = Partition("t", 0)
    taken(partition, 5)
    partition.closing.close(1.0)

    assert partition.closing.settled(-1)


def test_a_closed_partition_is_not_settled_while_a_task_runs() -> None:
    partition = Partition("t", 0)
    taken(partition, 5)
    partition.closing.close(1.0)

    assert not partition.closing.settled(3)
    assert partition.closing.frontier == 4


def test_a_closed_partition_is_not_settled_while_a_gap_lies_below_what_is_done() -> None:
    partition = Partition("t", 0)
    segment = taken(partition, 5)
    segment.complete(2)
    partition.closing.close(1.0)

    before = partition.closing.settled(-1)
    segment.complete(0)
    segment.complete(1)

    assert not before
    assert partition.closing.settled(-1)
    assert partition.closing.frontier == 3


def test_a_forgotten_partition_starts_nothing_below_any_frontier() -> None:
    partition = Partition("t", 0)
    taken(partition, 5).complete(4)
    partition.closing.close(1.0)
    partition.closing.settled(-1)

    partition.closing.forget()

    assert partition.closing.frontier == -1


def test_what_was_delivered_counts_though_a_new_leader_does_not_tell_of_it() -> None:
    partition = Partition("t", 0)
    partition.stored.found(10, "", UNKNOWN)
    partition.tracker.take(14)
    delivered = partition.report(10)
    partition.flow.keep([Message(15), Message(16)])
    in_hand = partition.report(10)

    assert [(each.end, each.lag) for each in (delivered, in_hand)] == [(15, 5), (17, 7)]


def test_its_name_in_the_log_is_topic_and_number() -> None:
    assert str(Partition("topic", 3)) == "topic[3]"
