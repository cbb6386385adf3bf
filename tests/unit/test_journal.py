from __future__ import annotations

import os
from pathlib import Path
from typing import Optional, Sequence

import pytest

from worker import journal
from worker.assignment import NOTHING_FOUND, Found
from worker.journal import RECORDS, Journal
from worker.tracker import DONE, HOLE, RUNNING, SEGMENT_SIZE

BEFORE, AFTER = "aaaaaaaa", "bbbbbbbb"
FOUND = Found(100, "cccccccc")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "slot-0.journal")


def left_by(path: str, *done: int, found: Found = FOUND, topic: str = "topic", running: Sequence[int] = ()) -> Journal:
    """A process noted these offsets as done, and these as running, in a segment that begins at 100, and died."""
    journal = Journal(path, BEFORE)
    memory, start, _ = journal.allocate(topic, 3, 100, found)
    for offset in done:
        memory[start + offset - 100] = DONE
    for offset in running:
        memory[start + offset - 100] = RUNNING
    return journal


def test_what_a_process_noted_is_there_for_the_next(path: str) -> None:
    left_by(path, 101, 102, 105)

    assert Journal(path, AFTER).left("topic", 3, Found(100, BEFORE)) == [(101, 103), (105, 106)]


def test_it_counts_when_the_offset_is_still_the_one_that_the_writer_found(path: str) -> None:
    left_by(path, 101)

    assert Journal(path, AFTER).left("topic", 3, FOUND) == [(101, 102)]


def test_it_counts_no_more_once_somebody_else_has_committed(path: str) -> None:
    left_by(path, 101)

    assert Journal(path, AFTER).left("topic", 3, Found(100, "dddddddd")) == []
    assert Journal(path, AFTER).left("topic", 3, Found(90, "cccccccc")) == []
    assert Journal(path, AFTER).left("topic", 3, NOTHING_FOUND) == []


def test_it_survives_a_second_death_before_anything_was_committed(path: str) -> None:
    left_by(path, 101)
    Journal(path, AFTER)

    assert Journal(path, "eeeeeeee").left("topic", 3, FOUND) == [(101, 102)]


def test_holes_are_nobodys_work(path: str) -> None:
    memory, start, _ = Journal(path, BEFORE).allocate("topic", 3, 100, FOUND)
    memory[start : start + 2] = bytes([HOLE, DONE])

    assert Journal(path, AFTER).left("topic", 3, FOUND) == [(101, 102)]


def test_what_is_forgotten_is_gone_for_the_next_process_too(path: str) -> None:
    left_by(path, 101)
    second = Journal(path, AFTER)

    second.forget("topic", 3)

    assert second.left("topic", 3, FOUND) == []
    assert Journal(path, BEFORE).left("topic", 3, FOUND) == []


def test_a_released_record_is_used_again_and_comes_back_empty(path: str) -> None:
    journal = Journal(path, BEFORE)
    records = [journal.allocate("topic", 0, 0, FOUND) for _ in range(RECORDS)]
    memory, start, number = records[17]
    memory[start] = DONE

    journal.release(number)
    again = journal.allocate("other", 1, 5, FOUND)

    assert again[1:] == (start, number)
    assert bytes(again[0][start : start + SEGMENT_SIZE]) == bytes(SEGMENT_SIZE)


def test_without_a_free_record_a_segment_has_memory_of_its_own(path: str) -> None:
    journal = Journal(path, BEFORE)
    for _ in range(RECORDS):
        journal.allocate("topic", 0, 0, FOUND)

    memory, start, number = journal.allocate("topic", 0, 0, FOUND)

    assert (memory, start, number) == (bytearray(SEGMENT_SIZE), 0, -1)
    journal.release(number)


def test_a_lost_partition_that_comes_back_is_remembered_and_its_record_is_not_used_while_results_may_come(path: str) -> None:
    journal = Journal(path, BEFORE)
    memory, start, number = journal.allocate("topic", 3, 100, FOUND)
    memory[start + 1] = DONE

    journal.retire(number, reusable=False)

    assert journal.left("topic", 3, Found(100, BEFORE)) == [(101, 102)]
    journal.forget("topic", 3)
    assert number not in [journal.allocate("topic", 0, 0, FOUND)[2] for _ in range(RECORDS)]


def test_the_longest_topic_name_fits(path: str) -> None:
    left_by(path, 101, topic="t" * 249)

    assert Journal(path, AFTER).left("t" * 249, 3, FOUND) == [(101, 102)]


def test_a_file_of_another_kind_is_made_anew(path: str) -> None:
    Path(path).write_bytes(b"something else" * 1000)

    assert Journal(path, AFTER).left("topic", 3, FOUND) == []


@pytest.mark.parametrize("other", [b"0" * 36, None], ids=["another boot", "unknown"])
def test_what_an_earlier_boot_left_is_void(path: str, monkeypatch: pytest.MonkeyPatch, other: Optional[bytes]) -> None:
    left_by(path, 101, running=[102])
    if other is None:
        monkeypatch.setattr(journal, "_BOOT_ID", path + ".nothing")
    else:
        monkeypatch.setattr(journal, "boot_id", lambda: other)

    assert Journal(path, AFTER).suspects == []
    assert Journal(path, AFTER).left("topic", 3, FOUND) == []


def test_what_was_running_when_a_process_died_is_suspect_until_that_is_resolved(path: str) -> None:
    left_by(path, 101, running=[100, 104])

    suspects = Journal(path, AFTER).suspects
    again = Journal(path, AFTER)
    again.resolve()

    assert suspects == again.suspects == [("topic", 3, 100), ("topic", 3, 104)]
    assert Journal(path, AFTER).suspects == []
    assert Journal(path, AFTER).left("topic", 3, FOUND) == [(101, 102)]


def test_what_a_process_cut_off_by_its_own_will_is_no_suspect_and_what_runs_in_the_next_one_is(path: str) -> None:
    left_by(path, running=[100]).end()

    second = Journal(path, AFTER)
    suspects = second.suspects
    second.resolve()
    memory, start, _ = second.allocate("topic", 3, 200, FOUND)
    memory[start + 1] = RUNNING

    assert suspects == []
    assert Journal(path, BEFORE).suspects == [("topic", 3, 201)]


def test_a_record_that_was_given_back_holds_no_suspects(path: str) -> None:
    journal = Journal(path, BEFORE)
    memory, start, number = journal.allocate("topic", 3, 100, FOUND)
    memory[start] = RUNNING
    journal.release(number)

    assert Journal(path, AFTER).suspects == []


def test_only_the_owner_may_read_it(path: str) -> None:
    Journal(path, BEFORE)

    assert os.stat(path).st_mode & 0o777 == 0o600


def test_no_room_for_the_file_is_an_error_at_once(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)

    with pytest.raises(OSError, match="No space left"):
        Journal(path, BEFORE)
