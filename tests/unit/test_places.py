from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator, Optional

import pytest

from service import places
from service.places import Lock, UnsafeDirectoryError
from service.settings import Settings
from supervision.child import ROOT
from tests.unit.fakes import some_settings

TRY = "import sys; from service.places import Lock; print(Lock(sys.argv[1]).try_acquire())"


def given(runtime: Path, **changes: Any) -> Settings:
    return some_settings(runtime_directory=str(runtime), **changes)


def other_process_gets(path: str) -> bool:
    words = [sys.executable, "-c", TRY, path]
    return subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout == "True\n"


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


def test_a_lock_excludes_another_process_until_it_is_released(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    held = Lock(path)
    held.acquire()
    during = other_process_gets(path)

    held.release()

    assert not during
    assert other_process_gets(path)


def test_the_note_of_a_new_holder_replaces_that_of_the_one_before(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    for note in ("process 123456", "process 7"):
        lock = Lock(path)
        lock.try_acquire(note)
        found = lock.note()
        lock.release()

    assert found == "process 7"


@pytest.mark.parametrize("mode", [None, 0o777])
def test_the_folder_is_private_to_this_user_also_when_it_was_there(tmp_path: Path, mode: Optional[int]) -> None:
    settings = given(tmp_path / "run")
    if mode is not None:
        os.makedirs(places.folder(settings))
        os.chmod(places.folder(settings), mode)

    path = places.prepare(settings)

    assert stat.S_IMODE(os.stat(path).st_mode) == 0o700


def test_a_folder_that_can_not_be_made_is_refused_by_the_settings_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UnsafeDirectoryError, match=r"RUNTIME_DIRECTORY .* cannot be used: "):
        places.prepare(given(tmp_path / "file"))


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 12345)

    with pytest.raises(UnsafeDirectoryError, match="belongs to another user; set RUNTIME_DIRECTORY to one of yours"):
        places.prepare(given(tmp_path))


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeDirectoryError, match="too long for a Unix socket"):
        places.prepare(given(tmp_path / ("x" * 107)))


def test_groups_and_hosts_have_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = {places.folder(given(tmp_path, group_id=group)) for group in ("a/b", "a_b", "../up", "x" * 200)}
    monkeypatch.setattr(places, "host_name", lambda: "another")
    folders.add(places.folder(given(tmp_path, group_id="a/b")))

    assert len(folders) == 5
    assert {os.path.dirname(folder) for folder in folders} == {str(tmp_path)}


def test_socket_and_locks_are_different_files_in_the_folder(tmp_path: Path) -> None:
    settings = given(tmp_path)
    paths = {places.control_socket(settings), places.supervisor_lock(settings)}
    paths |= {places.slot_lock(settings, slot) for slot in range(3)}

    assert len(paths) == 5
    assert {os.path.dirname(path) for path in paths} == {places.folder(settings)}
