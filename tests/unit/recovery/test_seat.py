"""What a child has on disk, and who takes it away."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from kafka_worker.recovery.seat import Seat
from kafka_worker.shared.system import runtime_files
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
    former, seat = runtime_files.Lock(runtime_files.slot_lock(settings, 0)), Seat(settings, 0)
    assert former.try_acquire("process 7")
    waiting = threading.Thread(target=seat.take)
    waiting.start()
    eventually(lambda: seat.holder == "process 7", 5, "it says who has it")

    former.release()
    waiting.join()

    assert seat.holder == ""
    assert runtime_files.Lock(runtime_files.slot_lock(settings, 0)).note() == f"process {os.getpid()}"


def test_a_slot_whose_lock_is_taken_away_is_still_taken(tmp_path: Path) -> None:
    settings = some_settings(runtime_directory=str(tmp_path))
    seat = Seat(settings, 0)
    seat.take()
    Path(runtime_files.slot_lock(settings, 0)).unlink()

    seat.check()

    assert not runtime_files.Lock(runtime_files.slot_lock(settings, 0)).try_acquire()
    assert seat.lost == ""
