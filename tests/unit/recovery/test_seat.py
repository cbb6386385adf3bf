"""What a child has on disk, and who takes it away."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafka_worker.recovery.seat import Seat
from kafka_worker.shared.system import runtime_files
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


def test_a_slot_whose_lock_is_taken_away_is_still_taken(tmp_path: Path) -> None:
    settings = some_settings(runtime_directory=str(tmp_path))
    seat = Seat(settings, 0)
    seat.take()
    Path(runtime_files.slot_lock(settings, 0)).unlink()

    seat.check()

    assert not runtime_files.Lock(runtime_files.slot_lock(settings, 0)).try_acquire()
    assert seat.lost == ""
