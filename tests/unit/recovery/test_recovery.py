from __future__ import annotations

from pathlib import Path
from typing import Callable, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.stored import UNKNOWN, Home
from kafka_worker.partitions.tracker import SEGMENT_SIZE, merged
from kafka_worker.recovery.offset_map import decode
from kafka_worker.recovery.recovery import Recovery
from tests.unit.lives import NOTHING, Life, small_journals


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    small_journals(monkeypatch, 16, 4)
    return str(tmp_path / "slot-0.journal")


def test_a_process_in_the_same_slot_runs_only_what_was_not_done(path: str) -> None:
    first = Life(path, *NOTHING)
    first.deliver(10)
    place = first.commit()
    first.finish(0, 1, 5, 9)

    assert Life(path, *place).deliver(12) == {2, 3, 4, 6, 7, 8, 10, 11}


def test_where_nothing_was_ever_committed_nothing_is_known(path: str) -> None:
    """Else a group or a topic that was made anew under the same name would have its messages skipped."""
    first = Life(path, *NOTHING)
    first.deliver(10)
    first.finish(*range(10))

    assert Life(path, *NOTHING).deliver(12) == set(range(12))


def test_an_offset_that_was_set_to_the_same_a_second_time_makes_the_memory_void(path: str) -> None:
    first = Life(path, 0, None)
    first.deliver(10)
    first.finish(*range(10))

    assert Life(path, 0, None).deliver(12) == set(range(12))


def test_a_death_before_the_first_commit_of_an_assignment_forgets_nothing(path: str) -> None:
    first = Life(path, *NOTHING)
    first.deliver(10)
    place = first.commit()
    first.finish(3, 4)
    second = Life(path, *place)
    second.deliver(10)
    second.finish(0, 6)

    assert Life(path, *place).deliver(10) == {1, 2, 5, 7, 8, 9}


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("use_map", [True, False])
def test_one_death_after_another_forgets_nothing_that_was_not_delivered_again_yet(
    path: str, use_map: bool, answered: bool
) -> None:
    first = Life(path, *NOTHING, use_map=use_map)
    first.deliver(2 * SEGMENT_SIZE)
    place = first.commit()
    first.finish(3, 4, SEGMENT_SIZE + 3)
    for _ in range(3):
        life = Life(path, *place, use_map=use_map)
        life.deliver(4)
        place = life.send()
        if answered:
            life.answered(*place)

    again = Life(path, *place, use_map=use_map).deliver(2 * SEGMENT_SIZE)
    assert again == set(range(2 * SEGMENT_SIZE)) - {3, 4, SEGMENT_SIZE + 3}


@pytest.mark.parametrize("end", [Recovery.ended, Recovery.void], ids=["taken away", "offsets went back"])
def test_what_was_noted_before_a_partition_moved_or_went_back_is_void_also_where_a_task_still_runs(
    path: str, end: Callable[[Recovery, Partition], None]
) -> None:
    first = Life(path, *NOTHING)
    first.deliver(300)
    first.commit()
    first.finish(*range(1, 300))
    first.run(0)
    end(first.recovery, first.partition)  # its messages are others now, or somebody else has it, and commits

    back = Life(None, 0, "", of=first)
    back.deliver(50)
    place = back.commit()

    assert Life(path, *place).deliver(300) == set(range(300))


def test_a_partition_that_comes_back_before_anybody_else_committed_is_remembered(path: str) -> None:
    first = Life(path, *NOTHING)
    first.deliver(10)
    place = first.commit()
    first.run(0)
    first.finish(3)
    first.recovery.ended(first.partition)
    first.finish(5)  # late

    assert Life(None, *place, of=first).deliver(10) == {0, 1, 2, 4, 6, 7, 8, 9}


def test_what_another_slot_of_the_host_did_and_could_not_commit_is_not_run_again_nor_after_a_death_there(
    path: str, tmp_path: Path
) -> None:
    """As where a right was taken for a while, and the partition with it."""
    first = Life(path, *NOTHING)
    first.deliver(10)
    place = first.commit()
    first.finish(0, 1, 5)
    first.recovery.ended(first.partition)
    elsewhere = str(tmp_path / "slot-1.journal")

    second = Life(elsewhere, *place)
    assert second.deliver(10) == {2, 3, 4, 6, 7, 8, 9}
    second.finish(2)
    assert Life(elsewhere, *place).deliver(10) == {3, 4, 6, 7, 8, 9}
    assert Life(elsewhere, *second.commit()).deliver(6) == {3, 4, 6, 7, 8}


def test_a_process_on_another_host_runs_only_what_the_last_commit_did_not_hold() -> None:
    first = Life(None, 0, None)
    first.deliver(10)
    for offset in (0, 1, 5, 9):
        first.finish(offset)

    assert Life(None, *first.commit()).deliver(8) == {2, 3, 4, 6, 7, 8}


def test_a_commit_before_anything_was_delivered_keeps_what_is_known() -> None:
    first = Life(None, 0, None)
    first.deliver(10)
    first.finish(5)
    target, text = first.commit()

    again = Life(None, target, text)

    kept = decode(again.recovery.metadata(again.partition, target))
    assert kept is not None
    assert kept.done == [(5, 6)]


def test_an_offset_that_an_operator_moved_makes_the_map_void() -> None:
    first = Life(None, 0, None)
    first.deliver(10)
    first.finish(5)
    _target, text = first.commit()

    assert Life(None, 3, text).deliver(3) == {3, 4, 5}


def test_an_offset_that_an_operator_moved_makes_the_journal_void_too(path: str) -> None:
    first = Life(path, 0, None)
    first.deliver(10)
    first.finish(0)
    _target, text = first.commit()
    first.finish(5)

    assert Life(path, 0, text).deliver(6) == {0, 1, 2, 3, 4, 5}


def test_what_another_has_committed_since_makes_the_journal_void(path: str) -> None:
    first = Life(path, *NOTHING)
    first.deliver(10)
    place = first.commit()
    first.finish(*range(10))
    elsewhere = Life(None, *place).commit()

    assert Life(path, *elsewhere).deliver(10) == set(range(10))


def test_both_memories_can_be_switched_off(path: str) -> None:
    first = Life(None, 0, None, use_map=False)
    first.deliver(10)
    first.finish(5)

    assert 5 in Life(None, *first.commit(), use_map=False).deliver(10)


HERE = Home("c" * 16, "1" * 16)
ANEW = Home("c" * 16, "2" * 16)
MIRROR = Home("d" * 16, "3" * 16)


def life_in(home: Home, path: str) -> Tuple[int, str]:
    """What is committed when a process has done ten messages there, the first of which runs."""
    life = Life(path, *NOTHING)
    life.partition.stored.home = home
    life.deliver(10)
    life.finish(*range(1, 9))
    place = life.commit()
    life.finish(9)
    return place


@pytest.mark.parametrize("home", [HERE, UNKNOWN, Home("c" * 16, ""), Home("", "1" * 16)])
def test_what_was_done_in_the_same_topic_counts_also_where_its_id_is_not_told(path: str, home: Home) -> None:
    again = Life(path, *life_in(HERE, path), home=home)

    assert again.valid
    assert again.deliver(10) == {0}
    assert again.partition.stored.home == HERE


@pytest.mark.parametrize("home", [ANEW, Home("", "2" * 16)])
def test_a_commit_that_is_left_of_a_topic_that_was_made_anew_says_nothing_not_even_its_offset(path: str, home: Home) -> None:
    place = life_in(HERE, path)

    again = Life(path, *place, home=home)

    assert not again.valid
    assert (again.partition.stored.committed, again.partition.stored.metadata, again.partition.stored.home) == (-1, "", home)
    again.next = 0
    assert again.deliver(10) == set(range(10))
    assert Life(path, *again.commit(), home=home).deliver(10) == set(range(10))


def test_a_commit_that_was_brought_from_another_cluster_holds_and_what_was_done_there_does_not(path: str) -> None:
    """As tools do that mirror clusters: with its metadata, and as a rule with another offset."""
    again = Life(path, *life_in(HERE, path), home=MIRROR)

    assert again.valid
    assert again.partition.stored.committed == 0
    assert again.deliver(10) == set(range(10))


def test_an_offset_that_an_operator_set_in_a_topic_made_anew_holds() -> None:
    again = Life(None, 7, "", home=ANEW)

    assert again.valid
    assert again.partition.stored.committed == 7


def wait_at_zero_while_others_are_done(life: Life, segments: int) -> None:
    """The commit stays where it is; it is sent after each second segment."""
    for number in range(segments):
        for offset in life.deliver(SEGMENT_SIZE) - {0}:
            life.finish(offset)
        assert life.partition.tracker.in_flight == 1
        if number % 2:
            life.commit()


def test_a_task_that_waits_for_hours_never_fills_the_journal(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the committed map holds is given up there, so that what came since is always in it."""
    small_journals(monkeypatch, 8, 4)
    first = Life(path, *Life(None, 0, None).commit())
    wait_at_zero_while_others_are_done(first, 41)

    again = Life(path, first.partition.stored.committed, first.partition.stored.metadata)

    assert again.deliver(41 * SEGMENT_SIZE + 1) == {0, 41 * SEGMENT_SIZE}


def test_a_process_that_finds_very_much_done_does_not_fill_the_journal_with_it(
    path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While the map stays as it was, nothing new is committed."""
    small_journals(monkeypatch, 8, 4)
    first = Life(path, *Life(None, 0, None).commit())
    wait_at_zero_while_others_are_done(first, 40)
    again = Life(path, first.partition.stored.committed, first.partition.stored.metadata)

    for _ in range(40):
        again.deliver(SEGMENT_SIZE)
        assert again.partition.tracker.in_flight == 1
    assert caplog.records == []

    third = Life(path, first.partition.stored.committed, first.partition.stored.metadata)
    assert third.deliver(40 * SEGMENT_SIZE) == {0}


def test_a_full_journal_is_told_once_and_costs_no_more_than_what_it_did_not_hold(
    path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    small_journals(monkeypatch, 8, 256)
    first = Life(path, *Life(None, 0, None).commit(), use_map=False)
    wait_at_zero_while_others_are_done(first, 20)
    complaints = [record.message for record in caplog.records]

    again = Life(path, first.partition.stored.committed, first.partition.stored.metadata, use_map=False)

    assert again.deliver(20 * SEGMENT_SIZE) == {0, *range(8 * SEGMENT_SIZE, 20 * SEGMENT_SIZE)}
    assert ["The journal is full" in complaint for complaint in complaints] == [True]


def test_metadata_of_other_tools_is_ignored_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    life = Life(None, 7, "checkpoint-17")
    life.recovery.restore(life.partition, 7, "checkpoint-18")

    assert life.deliver(2) == {7, 8}
    assert [record.message for record in caplog.records if "not ours" in record.message] != []
    assert len(caplog.records) == 1


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60))), st.integers(0, 60))
def test_merged_ranges_hold_the_same_offsets(pairs: List[Tuple[int, int]], beyond: int) -> None:
    ranges = [(min(pair), max(pair)) for pair in pairs]

    out = merged(ranges, beyond)

    assert {o for first, behind in out for o in range(first, behind)} == {
        o for first, behind in ranges for o in range(first, behind) if o >= beyond
    }
    assert all(behind < following for (_, behind), (following, _) in zip(out, out[1:]))
