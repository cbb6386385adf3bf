from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator

import pytest

from kafka_worker.shared.system.locks import Lock


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[Lock]:
    held = Lock(str(tmp_path / "lock"))
    assert held.try_acquire("process 7")
    yield held
    held.release()


def test_a_lock_has_one_holder_who_is_named(lock: Lock, tmp_path: Path) -> None:
    second = Lock(str(tmp_path / "lock"))

    assert not second.try_acquire("another")
    assert second.note() == "process 7"
    second.release()


def test_the_note_of_a_new_holder_replaces_that_of_the_one_before(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    for note in ("process 123456", "process 7"):
        lock = Lock(path)
        lock.try_acquire(note)
        found = lock.note()
        lock.release()

    assert found == "process 7"


def test_a_lock_whose_file_is_taken_away_is_kept_under_its_name(lock: Lock, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.unlink()

    assert lock.keep()

    second = Lock(str(path))
    assert not second.try_acquire("another")
    assert second.note() == "process 7"
    second.release()


def test_a_lock_that_somebody_else_has_by_now_is_told(lock: Lock, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.unlink()
    second = Lock(str(path))
    assert second.try_acquire("another")

    assert not lock.keep()
    assert not lock.keep()
    second.release()


def test_who_waited_at_a_file_that_was_taken_away_waits_on_at_its_name(lock: Lock, tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    waiting = Lock(path)
    os.unlink(path)
    assert lock.keep()

    assert not waiting.try_acquire()  # at the former file, which stays locked
    lock.release()
    assert waiting.try_acquire()
    another = Lock(path)
    assert not another.try_acquire()  # at the one that has the name
    another.release()
    waiting.release()


def test_a_disk_that_is_full_costs_a_lock_its_note_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    held = Lock(str(tmp_path / "lock"))
    monkeypatch.setattr(os, "pwrite", full)

    assert held.try_acquire("process 7")
    held.release()
