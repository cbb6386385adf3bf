"""What a child has on disk, and who takes it away."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from kafka_worker.recovery import journal
from kafka_worker.recovery import seat as seats
from kafka_worker.recovery.seat import Seat
from kafka_worker.shared.system import locks, runtime_files
from tests.support.eventually import eventually
from tests.unit.fakes import some_settings


@pytest.mark.parametrize("soon", [False, True])
def test_a_process_whose_journal_is_taken_away_wishes_to_be_recycled(soon: bool, tmp_path: Path) -> None:
    settings = some_settings(runtime_directory=str(tmp_path))
    seat = Seat(settings, 0)
    seat.take()
    journal = Path(runtime_files.slot_journal(settings, 0))
    journal.write_text("")
    if soon:
        journal.unlink()
    seat.journal_opened()
    seat.check()
    before = seat.lost
    journal.unlink(missing_ok=True)

    seat.check()

    assert bool(before) is soon
    assert seat.lost == "its journal was taken away"


def test_who_waits_for_a_seat_says_who_has_it_until_it_is_free(tmp_path: Path) -> None:
    settings = some_settings(runtime_directory=str(tmp_path))
    runtime_files.prepare(settings)
    former, seat = locks.Lock(runtime_files.slot_lock(settings, 0)), Seat(settings, 0)
    assert former.try_acquire("process 7")
    waiting = threading.Thread(target=seat.take)
    waiting.start()
    eventually(lambda: seat.holder == "process 7", 5, "it says who has it")

    former.release()
    waiting.join()

    assert seat.holder == ""
    assert locks.Lock(runtime_files.slot_lock(settings, 0)).note() == f"process {os.getpid()}"


def test_a_slot_whose_lock_is_taken_away_is_still_taken(tmp_path: Path) -> None:
    settings = some_settings(runtime_directory=str(tmp_path))
    seat = Seat(settings, 0)
    seat.take()
    Path(runtime_files.slot_lock(settings, 0)).unlink()

    seat.check()

    assert not locks.Lock(runtime_files.slot_lock(settings, 0)).try_acquire()
    assert seat.lost == ""


def open_at(path: str) -> int:
    """How many descriptors of ours lead there. (Of all there are others, and what nobody has any more goes at any moment.)"""
    lead = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    return lead.count(os.path.realpath(path))


def test_who_could_not_look_after_the_lock_it_had_does_not_wait_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, failures = runtime_files.is_there, [OSError(errno.EIO, "Input/output error")]

    def fails_once(path: str, found: os.stat_result) -> bool:
        if failures:
            raise failures.pop()
        return look(path, found)

    monkeypatch.setattr(runtime_files, "is_there", fails_once)
    monkeypatch.setattr(seats, "AGAIN_SECONDS", 0.0)
    settings = some_settings(runtime_directory=str(tmp_path))
    seat = Seat(settings, 0)
    taking = threading.Thread(target=seat.take, daemon=True)

    taking.start()
    taking.join(5)

    assert not taking.is_alive()
    assert open_at(runtime_files.slot_lock(settings, 0)) == 1


def no_room(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_slot_that_can_not_be_locked_for_want_of_room_waits_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seats, "AGAIN_SECONDS", 0.001)
    seat = Seat(some_settings(runtime_directory=str(tmp_path)), 0)
    with monkeypatch.context() as patch:
        patch.setattr(runtime_files, "open_private", no_room)
        waiting = threading.Thread(target=seat.take, daemon=True)
        waiting.start()
        eventually(lambda: seat.trouble == "its slot can't be locked: [Errno 28] No space left on device", 5, "it says so")

    waiting.join(5)

    assert (waiting.is_alive(), seat.trouble) == (False, "")


@pytest.mark.parametrize("room", [False, True])
def test_a_process_without_a_journal_is_recycled_when_there_is_room_for_one_where_that_was_missing(
    room: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    seat = Seat(some_settings(runtime_directory=str(tmp_path)), 0, lambda: now)
    seat.take()
    told = []
    with monkeypatch.context() as patch:
        if not room:
            patch.setattr(journal, "open_private", no_room)
        seat.journal_missing()
        for _ in range(2):
            now += seats.AGAIN_SECONDS
            seat.check()
            told.append(seat.lost)
    now += seats.AGAIN_SECONDS
    seat.check()

    assert [*told, seat.lost] == ["", "", "" if room else "there is room for its journal now"]
