"""What the doctor finds out about this machine."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kafka_worker.ops import asking
from kafka_worker.ops.doctor import command
from kafka_worker.ops.doctor.facts import Facts
from kafka_worker.shared.ipc import control
from kafka_worker.shared.ipc.snapshot import as_json
from kafka_worker.shared.system import runtime_files
from tests.unit.fakes import some_settings
from tests.unit.ops.views.full import snapshot


def facts(folder: Path) -> Facts:
    """Of a machine that is called "after" now."""
    folders = {"runtime_directory": str(folder / "runtime"), "state_directory": str(folder / "state")}
    configuration: Any = SimpleNamespace(settings=some_settings(host="after", **folders))
    return command._facts(configuration, faults=["no broker is asked"])


def test_a_service_is_found_by_the_name_that_its_machine_had_when_it_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = asking.RunningService("", as_json(snapshot()._replace(host="before")))
    monkeypatch.setattr(asking, "find", lambda _settings: running)

    found = facts(tmp_path)

    assert (found.runs_here, found.settings.host, found.untold) == (True, "before", "")


def test_that_a_supervisor_does_not_answer_is_not_taken_for_that_none_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(_settings: Any) -> Any:
        raise control.SilentError("process 7 is stopped")

    monkeypatch.setattr(asking, "find", find)

    assert (facts(tmp_path).runs_here, facts(tmp_path).untold) == (False, "process 7 is stopped")


def test_a_folder_in_which_nothing_can_be_kept_any_more_is_found_and_one_that_can_be_made_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(facts(tmp_path).unwritable) == []
    (tmp_path / "runtime").write_text("in its place")

    def full(folder: str) -> Any:
        room = 0 if folder == str(tmp_path) else 9
        return SimpleNamespace(f_blocks=100, f_bfree=room, f_bavail=room, f_files=0, f_ffree=0, f_favail=0, f_flag=0)

    monkeypatch.setattr(os, "statvfs", full)
    settings = facts(tmp_path).settings
    wanted = (
        ("RUNTIME_DIRECTORY", runtime_files.folder(settings), "[Errno 20] Not a directory", "runtime"),
        ("STATE_DIRECTORY", runtime_files.state_folder(settings), "[Errno 28] No space left on device", "state"),
    )

    assert list(facts(tmp_path).unwritable) == [
        f"{name} {path} cannot be used: {why}: '{tmp_path}/{place}'. Mend that, or set {name} to one of yours"
        for name, path, why, place in wanted
    ]
