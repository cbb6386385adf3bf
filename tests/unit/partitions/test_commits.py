from __future__ import annotations

from typing import Tuple

from kafka_worker.partitions.assignment import Assignment, Partition
from kafka_worker.partitions.commits import SOON, Commits


def nothing(_partition: Partition, _target: int) -> str:
    """Metadata that never changes."""
    return ""


def owned(done: int, taken: int) -> Tuple[Assignment, Partition]:
    """One partition, of whose offsets from 0 on so many are taken, and the first so many done."""
    assignment = Assignment()
    partition = assignment.add("t", 0)
    segment, _ = partition.tracker.take(0, taken)
    for offset in range(done):
        segment.complete(offset)
    return assignment, partition


def test_a_commit_is_due_after_the_interval_and_not_while_one_is_in_flight() -> None:
    commits = Commits(5.0)
    commits.sent()
    commits.checked([], 100.0)
    while_in_flight = commits.due(200.0)
    commits.answered()

    assert not while_in_flight
    assert not commits.due(104.9)
    assert commits.due(105.0)


def test_when_nothing_was_dirty_the_next_look_is_after_the_interval() -> None:
    commits = Commits(5.0)

    commits.checked([], 100.0)

    assert not commits.due(104.9)
    assert commits.due(105.0)


def test_while_an_assignment_has_no_commit_of_its_own_the_next_look_is_soon() -> None:
    """What it does is not found again after a death before."""
    commits = Commits(5.0)
    assignment, partition = owned(done=0, taken=1)
    commits.checked(assignment, 100.0)
    unnamed = commits.due(100.0 + SOON)
    partition.stored.named = True
    commits.checked(assignment, 100.0)

    assert unnamed
    assert not commits.due(104.9)
    commits.soon(100.0)
    assert commits.due(100.0 + SOON)


def test_where_no_answer_can_be_heard_none_is_waited_for_but_the_interval_is() -> None:
    commits = Commits(5.0)
    commits.sent()
    commits.checked([], 100.0)

    assert not commits.due(104.9, deaf=True)
    assert commits.due(105.0, deaf=True)


def test_as_long_as_a_newer_commit_is_on_its_way_an_answer_proves_nothing_of_what_it_carries() -> None:
    commits = Commits(5.0)
    assignment, partition = owned(done=3, taken=5)
    for text in ("older", "newer"):
        commits.sent()
        partition.stored.sent(3, text)

    commits.answered()
    at_first = commits.acknowledged(assignment, [("t", 0, 3)], 101.0)
    commits.answered()

    assert at_first == []
    assert commits.acknowledged(assignment, [("t", 0, 3)], 101.0) == [(partition, 3)]
    assert partition.stored.metadata == "newer"


def test_an_assignment_of_which_there_is_nothing_to_commit_hurries_nobody() -> None:
    commits = Commits(5.0)
    assignment = Assignment()
    empty, untold = assignment.add("empty", 0), assignment.add("untold", 0)
    untold.flow.put_off("not told")
    untold.stored.committed = 7
    commits.checked(assignment, 100.0)
    nobody = commits.due(104.9)
    empty.at_end(0)
    commits.checked(assignment, 100.0)

    assert not nobody
    assert commits.due(100.0 + SOON)


def test_dirty_is_what_lies_beyond_the_last_acknowledged_commit() -> None:
    assignment, partition = owned(done=3, taken=5)
    first = Commits.dirty(assignment, {}, nothing)

    partition.stored.committed = 3

    assert first == [(partition, 3, "")]
    assert Commits.dirty(assignment, {}, nothing) == []


def test_what_is_done_beyond_the_commit_makes_it_dirty_too() -> None:
    assignment, partition = owned(done=3, taken=5)
    partition.stored.committed, partition.stored.metadata = 3, "before"

    assert Commits.dirty(assignment, {}, lambda _partition, target: f"after {target}") == [(partition, 3, "after 3")]


def test_an_answer_to_a_commit_of_an_earlier_assignment_changes_nothing() -> None:
    assignment, partition = owned(done=3, taken=5)

    assert Commits(5.0).acknowledged(assignment, [("t", 0, 50)], 100.0) == []
    assert partition.stored.committed == -1


def test_a_position_counts_only_when_nothing_is_in_flight() -> None:
    busy, partition = owned(done=3, taken=5)
    idle, other = owned(done=5, taken=5)

    assert Commits.dirty(busy, {("t", 0): 9}, nothing) == [(partition, 3, "")]
    assert Commits.dirty(idle, {("t", 0): 9}, nothing) == [(other, 9, "")]


def test_a_partition_of_which_nothing_is_known_is_not_committed() -> None:
    assignment = Assignment()
    assignment.add("t", 0)

    assert Commits.dirty(assignment, {("t", 0): -1001}, nothing) == []


def test_an_acknowledgement_cleans_the_partition_and_notes_the_time() -> None:
    assignment, partition = owned(done=3, taken=5)
    partition.stored.sent(3, "map")
    commits = Commits(5.0)

    stored = commits.acknowledged(assignment, [("t", 0, 3)], 100.0)

    assert stored == [(partition, 3)]
    assert (partition.stored.committed, partition.stored.metadata, commits.acknowledged_at) == (3, "map", 100.0)


def test_an_old_acknowledgement_does_not_move_the_commit_back() -> None:
    assignment, partition = owned(done=3, taken=5)
    partition.stored.committed = 3

    Commits(5.0).acknowledged(assignment, [("t", 0, 1)], 100.0)

    assert partition.stored.committed == 3


def test_an_acknowledgement_for_a_partition_that_went_away_is_no_error() -> None:
    Commits(5.0).acknowledged(Assignment(), [("t", 0, 3)], 100.0)


def test_a_failed_commit_stays_dirty() -> None:
    assignment, partition = owned(done=3, taken=5)
    commits = Commits(5.0)
    commits.sent()

    commits.answered()
    commits.acknowledged(assignment, [], 1.0)

    assert Commits.dirty(assignment, {}, nothing) == [(partition, 3, "")]
    assert commits.acknowledged_at == -1.0
