from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, Callable, Optional

import pytest

from kafka_worker.recovery.journal import Journal
from kafka_worker.recovery.suspects_file import SuspectsFile
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import runtime_files
from kafka_worker.shared.system.locks import Lock
from kafka_worker.shared.system.runtime_files import UnsafeDirectoryError
from tests.unit.fakes import some_settings


def given(runtime: Path, **changes: Any) -> Settings:
    return some_settings(runtime_directory=str(runtime), **changes)


@pytest.mark.parametrize("mode", [None, 0o777])
def test_the_folder_is_private_to_this_user_also_when_it_was_there(tmp_path: Path, mode: Optional[int]) -> None:
    settings = given(tmp_path / "run")
    if mode is not None:
        os.makedirs(runtime_files.folder(settings))
        os.chmod(runtime_files.folder(settings), mode)

    path = runtime_files.prepare(settings)

    assert stat.S_IMODE(os.stat(path).st_mode) == 0o700


@pytest.mark.parametrize("mask", [0o777, 0])
@pytest.mark.parametrize(
    "made",
    [Lock, Journal, lambda path: SuspectsFile(given(Path(path), state_directory=path)).blame([("topic", 0, 1)], "")],
    ids=["lock", "journal", "suspects"],
)
def test_our_files_are_for_this_user_whatever_mask_a_handler_has_set(
    made: Callable[[str], object], mask: int, tmp_path: Path
) -> None:
    given_mask = os.umask(0o077)
    if made not in (Lock, Journal):
        runtime_files.prepare_state(given(tmp_path, state_directory=str(tmp_path / "made")))
    try:
        os.umask(mask)
        kept = made(str(tmp_path / "made"))
    finally:
        os.umask(given_mask)

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept is not None
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_a_folder_that_can_not_be_made_is_refused_by_the_settings_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UnsafeDirectoryError, match=r"RUNTIME_DIRECTORY .* cannot be used: "):
        runtime_files.prepare(given(tmp_path / "file"))


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 12345)

    with pytest.raises(UnsafeDirectoryError, match="belongs to another user; set RUNTIME_DIRECTORY to one of yours"):
        runtime_files.prepare(given(tmp_path))


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeDirectoryError, match="too long for a Unix socket"):
        runtime_files.prepare(given(tmp_path / ("x" * 107)))


def test_groups_and_hosts_have_folders_of_their_own(tmp_path: Path) -> None:
    folders = {runtime_files.folder(given(tmp_path, group_id=group)) for group in ("a/b", "a_b", "../up", "x" * 200)}
    folders.add(runtime_files.folder(given(tmp_path, group_id="a/b", host="another")))

    assert len(folders) == 5
    assert {os.path.dirname(folder) for folder in folders} == {str(tmp_path)}


def test_socket_and_locks_are_different_files_in_the_folder(tmp_path: Path) -> None:
    settings = given(tmp_path)
    paths = {runtime_files.control_socket(settings), runtime_files.supervisor_lock(settings)}
    paths |= {runtime_files.slot_lock(settings, slot) for slot in range(3)}

    assert len(paths) == 5
    assert {os.path.dirname(path) for path in paths} == {runtime_files.folder(settings)}


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder whose mode must stay as it is."""
    made = tmp_path / "theirs"
    made.mkdir()
    made.chmod(0o755)
    return made


def test_a_link_in_the_place_of_the_folder_is_refused_and_leads_nowhere(tmp_path: Path, theirs: Path) -> None:
    settings = given(tmp_path)
    os.symlink(theirs, runtime_files.folder(settings))

    with pytest.raises(UnsafeDirectoryError, match="cannot be used"):
        runtime_files.prepare(settings)

    assert stat.S_IMODE(theirs.stat().st_mode) == 0o755


def test_a_runtime_directory_of_ours_that_everybody_may_write_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = os.stat_result((0o40777, 0, 0, 2, 12345, 0, 0, 0, 0, 0))
    monkeypatch.setattr(os, "getuid", lambda: 12345)

    with pytest.raises(UnsafeDirectoryError, match="can be written to by everybody: chmod o-w it"):
        runtime_files._must_be_safe(found, "/somewhere", "RUNTIME_DIRECTORY")


@pytest.mark.parametrize(("mode", "owner"), [(0o41777, 12345), (0o40777, 0), (0o40775, 12345)])
def test_a_sticky_directory_or_one_that_root_has_opened_is_taken(
    mode: int, owner: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 12345)

    runtime_files._must_be_safe(os.stat_result((mode, 0, 0, 2, owner, 0, 0, 0, 0, 0)), "/somewhere", "X")


@pytest.mark.parametrize("opened", [Lock, Journal], ids=["lock", "journal"])
def test_no_file_is_opened_through_a_link(opened: Callable[[str], object], tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    os.symlink(victim, tmp_path / "link")

    with pytest.raises(OSError, match="symbolic links"):
        opened(str(tmp_path / "link"))

    assert victim.read_text() == "precious"


def test_what_is_touched_is_new_to_who_cleans(tmp_path: Path) -> None:
    settings = given(tmp_path / "run", state_directory=str(tmp_path / "state"))
    paths = [runtime_files.prepare(settings), runtime_files.prepare_state(settings), settings.runtime_directory]
    paths.append(runtime_files.slot_journal(settings, 0))
    Path(paths[-1]).write_text("")
    for path in paths:
        os.utime(path, (1000, 1000))

    for folder in paths[:2]:
        runtime_files.touch(folder)

    assert min(os.stat(path).st_mtime for path in paths) > 1_000_000
    assert min(os.stat(path).st_atime for path in paths) > 1_000_000
