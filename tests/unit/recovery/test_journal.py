from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any, List, Optional, Sequence

import pytest

from kafka_worker.partitions.stored import Names
from kafka_worker.partitions.tracker import DONE, HOLE, RUNNING, SEGMENT_SIZE, Range
from kafka_worker.recovery import journal
from kafka_worker.recovery.journal import RECORDS, SCARCE, Journal

FOUND, OWN, NEXT, OTHER = "ffffffff", "aaaaaaaa", "bbbbbbbb", "xxxxxxxx"
NAMES = Names(FOUND, OWN)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "slot-0.journal")


def left_by(path: str, *done: int, topic: str = "topic", running: Sequence[int] = ()) -> Journal:
    """A process noted these offsets as done, and these as running, in a segment that begins at 100, and died."""
    journal = Journal(path)
    memory, start, _ = journal.allocate(topic, 3, 100, NAMES)
    for offset in done:
        memory[start + offset - 100] = DONE
    for offset in running:
        memory[start + offset - 100] = RUNNING
    return journal


def known(journal: Journal, found: str, own: str = NEXT, topic: str = "topic") -> List[Range]:
    """What an assignment that found this commit learns."""
    return [done for record in journal.inherit(topic, 3, Names(found, own)) for done in record.done]


def test_what_an_assignment_noted_is_there_for_who_finds_its_commit(path: str) -> None:
    left_by(path, 101, 102, 105)

    assert known(Journal(path), OWN) == [(101, 103), (105, 106)]


def test_it_is_there_too_for_who_finds_the_commit_that_it_found_itself(path: str) -> None:
    left_by(path, 101)

    assert known(Journal(path), FOUND) == [(101, 102)]


def test_it_says_nothing_when_the_broker_holds_anybody_elses_commit_or_none(path: str) -> None:
    left_by(path, 101)
    assert known(Journal(path), OTHER) == []

    left_by(path, 101)
    assert known(Journal(path), NEXT, NEXT) == []


def test_it_survives_any_number_of_deaths_whether_each_was_committed_or_not(path: str) -> None:
    left_by(path, 101)

    assert known(Journal(path), OWN, "11111111") == [(101, 102)]
    assert known(Journal(path), OWN, "22222222") == [(101, 102)]
    assert known(Journal(path), "22222222", "33333333") == [(101, 102)]
    assert known(Journal(path), "33333333", "44444444") == [(101, 102)]
    assert known(Journal(path), OWN, "55555555") == []


def test_holes_are_nobodys_work(path: str) -> None:
    memory, start, _ = Journal(path).allocate("topic", 3, 100, NAMES)
    memory[start : start + 2] = bytes([HOLE, DONE])

    assert known(Journal(path), OWN) == [(101, 102)]


def test_what_is_released_is_gone_for_the_next_process_too(path: str) -> None:
    left_by(path, 101)
    second = Journal(path)

    for record in second.inherit("topic", 3, Names(OWN, NEXT)):
        second.release(record.number)

    assert known(Journal(path), OWN) == []
    assert known(Journal(path), NEXT) == []


def test_a_released_record_is_used_again_and_comes_back_empty(path: str) -> None:
    journal = Journal(path)
    records = [journal.allocate("topic", 0, 0, NAMES) for _ in range(RECORDS)]
    memory, start, number = records[17]
    memory[start] = DONE

    journal.release(number)
    again = journal.allocate("other", 1, 5, NAMES)

    assert again[1:] == (start, number)
    assert bytes(again[0][start : start + SEGMENT_SIZE]) == bytes(SEGMENT_SIZE)


def test_without_a_free_record_a_segment_has_memory_of_its_own(path: str) -> None:
    journal = Journal(path)
    for _ in range(RECORDS):
        journal.allocate("topic", 0, 0, NAMES)

    memory, start, number = journal.allocate("topic", 0, 0, NAMES)

    assert (memory, start, number) == (bytearray(SEGMENT_SIZE), 0, -1)
    journal.release(number)


def test_records_of_partitions_that_moved_away_are_given_up_when_room_is_needed(path: str) -> None:
    journal = Journal(path)
    for number in range(RECORDS):
        journal.leave("gone", number % 7, journal.allocate("gone", number % 7, 0, NAMES)[2])
    journal = Journal(path)

    records = [journal.allocate("topic", 0, 0, NAMES)[2] for _ in range(RECORDS)]

    assert sorted(records) == list(range(RECORDS))


def test_they_are_kept_as_long_as_there_is_room(path: str) -> None:
    left_by(path, 101)
    journal = Journal(path)
    for _ in range(RECORDS - SCARCE - 1):
        journal.allocate("other", 0, 0, NAMES)

    assert known(Journal(path), OWN) == [(101, 102)]


def test_a_partition_that_comes_back_is_remembered_and_its_record_is_not_used_while_results_may_come(path: str) -> None:
    journal = Journal(path)
    memory, start, number = journal.allocate("topic", 3, 100, NAMES)
    journal.never_reuse([number])
    journal.leave("topic", 3, number)
    memory[start + 1] = DONE

    assert known(journal, OWN) == [(101, 102)]
    journal.release(number)
    assert number not in [journal.allocate("topic", 0, 0, NAMES)[2] for _ in range(RECORDS)]


def test_a_record_that_is_void_says_nothing_of_what_is_done_whatever_still_runs_and_still_tells_suspects(path: str) -> None:
    journal = Journal(path)
    memory, start, number = journal.allocate("topic", 3, 100, NAMES)
    memory[start : start + 2] = bytes([DONE, RUNNING])

    journal.never_reuse([number])
    journal.release(number)
    memory[start + 2] = DONE

    again = Journal(path)
    assert again.suspects == [("topic", 3, 101)]
    for name in (FOUND, OWN, "\0" * 8):
        assert known(Journal(path), name) == []


def test_the_longest_topic_name_fits(path: str) -> None:
    left_by(path, 101, topic="t" * 249)

    assert known(Journal(path), OWN, topic="t" * 249) == [(101, 102)]


def test_a_file_of_another_kind_is_made_anew(path: str) -> None:
    Path(path).write_bytes(b"something else" * 1000)

    assert known(Journal(path), OWN) == []


@pytest.mark.parametrize("other", [b"0" * 36, None], ids=["another boot", "unknown"])
def test_what_an_earlier_boot_left_is_void(path: str, monkeypatch: pytest.MonkeyPatch, other: Optional[bytes]) -> None:
    left_by(path, 101, running=[102])
    if other is None:
        monkeypatch.setattr(journal, "_BOOT_ID", path + ".nothing")
    else:
        monkeypatch.setattr(journal, "boot_id", lambda: other)

    assert Journal(path).suspects == []
    assert known(Journal(path), OWN) == []


def test_what_was_running_when_a_process_died_is_suspect_until_that_is_resolved(path: str) -> None:
    left_by(path, 101, running=[100, 104])

    suspects = Journal(path).suspects
    again = Journal(path)
    again.resolve()

    assert suspects == again.suspects == [("topic", 3, 100), ("topic", 3, 104)]
    assert Journal(path).suspects == []
    assert known(Journal(path), OWN) == [(101, 102)]


def test_what_a_process_cut_off_by_its_own_will_is_no_suspect_and_what_runs_in_the_next_one_is(path: str) -> None:
    left_by(path, running=[100]).note_own_end()

    second = Journal(path)
    suspects = second.suspects
    second.resolve()
    memory, start, _ = second.allocate("topic", 3, 200, NAMES)
    memory[start + 1] = RUNNING

    assert suspects == []
    assert Journal(path).suspects == [("topic", 3, 201)]


def test_a_record_that_was_given_back_holds_no_suspects(path: str) -> None:
    journal = Journal(path)
    memory, start, number = journal.allocate("topic", 3, 100, NAMES)
    memory[start] = RUNNING
    journal.release(number)

    assert Journal(path).suspects == []


def test_only_the_owner_may_read_it(path: str) -> None:
    Journal(path)

    assert os.stat(path).st_mode & 0o777 == 0o600


def test_no_room_for_the_file_is_an_error_at_once(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)

    with pytest.raises(OSError, match="No space left"):
        Journal(path)


def test_deaths_of_one_process_after_the_other_are_counted_until_one_ends_by_its_own_will_or_says_that_it_is_well(
    path: str,
) -> None:
    counts = []
    for after in ("death", "death", "well", "death", "end", "death", "death", "death of what ran", "death"):
        journal = Journal(path)
        journal.resolve()
        counts.append(journal.deaths)
        if after == "death of what ran":
            memory, start, _ = journal.allocate("topic", 3, 100, NAMES)
            memory[start] = RUNNING
        if after == "well":
            journal.deaths = 0
        if after == "end":
            journal.note_own_end()

    assert counts == [0, 1, 2, 1, 2, 0, 1, 2, 0]


def test_what_one_slot_has_noted_another_of_the_host_knows_by_the_commit_that_it_finds(path: str, tmp_path: Path) -> None:
    left_by(path, 101, 102, 105, running=[103])
    other = Journal(str(tmp_path / "slot-11.journal"))

    assert other.done_elsewhere("topic", 3, OWN) == other.done_elsewhere("topic", 3, FOUND) == [(101, 103), (105, 106)]
    assert other.done_elsewhere("topic", 3, OTHER) == other.done_elsewhere("topic", 4, OWN) == []
    assert other.done_elsewhere("topic-2", 3, OWN) == []
    assert Journal(path).done_elsewhere("topic", 3, OWN) == []  # its own it inherits


def test_what_another_boot_or_format_has_left_says_nothing_to_other_slots(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_by(path, 101)
    (tmp_path / "slot-1.journal").write_bytes(b"")
    monkeypatch.setattr(journal, "boot_id", lambda: b"another")

    assert Journal(str(tmp_path / "slot-2.journal")).done_elsewhere("topic", 3, OWN) == []


def test_a_record_that_becomes_anothers_while_it_is_read_says_nothing(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what is done there would count as done here."""
    lives = left_by(path, 101)
    reader = Journal(str(tmp_path / "slot-1.journal"))

    class Racing(mmap.mmap):
        def __getitem__(self, place: Any) -> Any:
            if isinstance(place, slice) and place.start and place.stop and place.stop - place.start == SEGMENT_SIZE:
                lives.release(RECORDS - 1)
                memory, start, _ = lives.allocate("topic", 3, 100, Names(OTHER, NEXT))
                memory[start + 7] = DONE
            return super().__getitem__(place)

    monkeypatch.setattr(mmap, "mmap", Racing)

    assert reader.done_elsewhere("topic", 3, OWN) == []
