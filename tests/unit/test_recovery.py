from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Dict, List, Optional, Set, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.fakes import Message
from worker import intake, journal
from worker.assignment import Partition
from worker.journal import Journal
from worker.lanes import Task
from worker.offset_map import decode
from worker.queues import FirstComeFirstServed
from worker.recovery import Recovery, new_writer
from worker.tracker import SEGMENT_SIZE, merged


class Life:
    """One process's life with one partition: gets it, is delivered messages, finishes some, commits or not, and dies."""

    def __init__(self, path: Optional[str], committed: int, metadata: Optional[str], *, use_map: bool = True) -> None:
        writer = new_writer()
        journal = Journal(path, writer) if path else None
        self.recovery = Recovery(writer, journal, use_map=use_map, busy=lambda _partition: False)
        self.partition = Partition("topic", 0, FirstComeFirstServed, self.recovery.memory)
        self.recovery.restore(self.partition, committed, metadata)
        self.next = committed
        self.open: Dict[int, Task] = {}

    def deliver(self, count: int) -> Set[int]:
        """The offsets that are to be run."""
        batch = [Message(offset) for offset in range(self.next, self.next + count)]
        self.next += count
        self.open = {task[0]: task for task in intake.tasks(self.partition, batch, None)}
        return set(self.open)

    def finish(self, offset: int) -> None:
        self.open[offset][1].complete(offset)

    def commit(self) -> Tuple[int, str]:
        target = self.partition.target(-1001)
        text = self.recovery.metadata(self.partition, target)
        self.partition.committed, self.partition.metadata = target, text
        self.recovery.acknowledged(self.partition, target)
        return target, text


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "slot-0.journal")


def test_a_process_in_the_same_slot_runs_only_what_was_not_done(path: str) -> None:
    first = Life(path, 0, None)
    first.deliver(10)
    for offset in (0, 1, 5, 9):
        first.finish(offset)

    assert Life(path, 0, None).deliver(12) == {2, 3, 4, 6, 7, 8, 10, 11}


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


def test_both_memories_can_be_switched_off(path: str) -> None:
    first = Life(None, 0, None, use_map=False)
    first.deliver(10)
    first.finish(5)

    assert 5 in Life(None, *first.commit(), use_map=False).deliver(10)


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
    monkeypatch.setattr(journal, "RECORDS", 8)
    monkeypatch.setattr(journal, "SCARCE", 4)
    first = Life(path, 0, None)
    wait_at_zero_while_others_are_done(first, 41)

    again = Life(path, first.partition.committed, first.partition.metadata)

    assert again.deliver(41 * SEGMENT_SIZE + 1) == {0, 41 * SEGMENT_SIZE}


def test_a_process_that_finds_very_much_done_does_not_fill_the_journal_with_it(
    path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While the map stays as it was, nothing new is committed."""
    monkeypatch.setattr(journal, "RECORDS", 8)
    monkeypatch.setattr(journal, "SCARCE", 4)
    first = Life(path, 0, None)
    wait_at_zero_while_others_are_done(first, 40)
    again = Life(path, first.partition.committed, first.partition.metadata)

    for _ in range(40):
        again.deliver(SEGMENT_SIZE)
        assert again.partition.tracker.in_flight == 1
    assert caplog.records == []

    third = Life(path, first.partition.committed, first.partition.metadata)
    assert third.deliver(40 * SEGMENT_SIZE) == {0}


def test_a_full_journal_is_told_once_and_costs_no_more_than_what_it_did_not_hold(
    path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(journal, "RECORDS", 8)
    first = Life(path, 0, None, use_map=False)
    wait_at_zero_while_others_are_done(first, 20)
    complaints = [record.message for record in caplog.records]

    again = Life(path, first.partition.committed, first.partition.metadata, use_map=False)

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


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_over_any_sequence_of_deaths_nothing_is_lost_and_nothing_done_is_run_again(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        done: Set[int] = set()
        committed, metadata = 0, ""
        for _ in range(data.draw(st.integers(1, 6))):
            life = Life(folder + "/journal", committed, metadata or None)
            for _ in range(data.draw(st.integers(0, 3))):
                count = data.draw(st.integers(1, 12))
                expected = {offset for offset in range(life.next, life.next + count) if offset not in done}
                assert life.deliver(count) == expected
                for offset in data.draw(st.lists(st.sampled_from(sorted(expected)), unique=True)) if expected else []:
                    life.finish(offset)
                    done.add(offset)
                if data.draw(st.booleans()):
                    committed, metadata = life.commit()
                assert set(range(committed)) <= done
