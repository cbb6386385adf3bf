"""What the supervisor has on disk, and who takes it away."""

from __future__ import annotations

import fcntl
import logging
import os
import selectors
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Iterator, List

import pytest

from kafka_worker.shared.ipc.control import ControlServer, ask
from kafka_worker.shared.system import runtime_files
from kafka_worker.supervision.aside import PATIENCE_SECONDS, Aside
from kafka_worker.supervision.premises import LOOK_SECONDS, Premises
from tests.support.eventually import eventually
from tests.unit.fakes import some_settings
from tests.unit.supervision.at_once import AtOnce


class House:
    """Premises that somebody has entered, and a control socket in them."""

    def __init__(self, runtime: Path) -> None:
        self.now = 100.0
        self.settings = some_settings(runtime_directory=str(runtime), state_directory=str(runtime / "state"))
        self.premises = Premises(self.settings, lambda: self.now, AtOnce)
        self.selector = selectors.DefaultSelector()
        assert self.premises.enter()
        self.control = ControlServer(runtime_files.control_socket(self.settings), self.selector, {})
        self.premises.guard(self.control)

    def check(self) -> bool:
        self.now += LOOK_SECONDS
        return self.premises.check()

    def close(self) -> None:
        self.control.close()
        self.selector.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "run")
    yield made
    made.close()


def test_nobody_else_enters_before_or_after_the_lock_was_taken_away(house: House, caplog: pytest.LogCaptureFixture) -> None:
    assert not Premises(house.settings, aside=AtOnce).enter()
    os.unlink(runtime_files.supervisor_lock(house.settings))

    assert house.check()

    assert not Premises(house.settings, aside=AtOnce).enter()
    assert f"already run on this host by process {os.getpid()}" in caplog.text


def test_who_finds_somebody_else_in_his_premises_is_told_so(house: House) -> None:
    os.unlink(runtime_files.supervisor_lock(house.settings))
    assert Premises(house.settings, aside=AtOnce).enter()

    assert not house.check()


def test_a_folder_that_was_taken_away_is_there_again_with_all_that_belongs_into_it(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    assert house.check()
    shutil.rmtree(runtime_files.folder(house.settings))

    assert house.check()

    assert {each.name for each in Path(runtime_files.folder(house.settings)).iterdir()} == {"control", "supervisor.lock"}
    assert "was taken away, and is made anew" in caplog.text


@pytest.mark.parametrize(
    ("room", "files", "read_only", "why"),
    [
        (0, 9, False, "No space left on device"),
        (9, 0, False, "No space left on device"),
        (9, 9, True, "Read-only file system"),
        (9, 9, False, "Permission denied"),
    ],
)
def test_a_folder_that_takes_nothing_more_is_a_problem_until_it_does(
    house: House, monkeypatch: pytest.MonkeyPatch, room: int, files: int, why: str, *, read_only: bool
) -> None:
    assert house.check()
    disk = SimpleNamespace(
        f_blocks=100, f_bfree=room, f_bavail=room, f_files=100, f_ffree=files, f_favail=files, f_flag=os.ST_RDONLY * read_only
    )
    with monkeypatch.context() as changed:
        changed.setattr(os, "statvfs", lambda _folder: disk)
        changed.setattr(os, "access", lambda *_: not room * files)
        assert house.check()
    told = [each.text for each in house.premises.conditions()]
    assert house.check()

    assert [text.partition(" is of no use: ")[0] for text in told] == ["RUNTIME_DIRECTORY", "STATE_DIRECTORY"]
    assert all(why in text for text in told)
    assert house.premises.conditions() == []


def test_who_can_not_make_it_anew_goes_on_and_says_so_once_in_a_while(house: House, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(house.settings.runtime_directory)
    Path(house.settings.runtime_directory).write_text("in its place")

    assert house.check()
    assert house.check()

    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_folders_are_held_against_who_cleans_and_touched(house: House) -> None:
    state = runtime_files.prepare_state(house.settings)
    for folder in (runtime_files.folder(house.settings), state):
        os.utime(folder, (1000, 1000))
    house.check()

    for folder in (runtime_files.folder(house.settings), state):
        assert os.stat(folder).st_mtime > 1_000_000
        descriptor = os.open(folder, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)


def test_a_control_socket_that_was_taken_away_answers_again(house: House) -> None:
    path = runtime_files.control_socket(house.settings)
    os.unlink(path)

    house.check()

    with pytest.raises(Exception, match="did not answer within"):  # it is there; nobody turns its loop
        ask(path, {"command": "status"}, timeout=0.05)


def test_a_disk_that_does_not_answer_is_told_and_waited_for_by_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, answers = [100.0], threading.Event()
    settings = some_settings(runtime_directory=str(tmp_path / "run"), state_directory=str(tmp_path / "state"))
    runtime_files.prepare_state(settings)
    premises = Premises(settings, lambda: now[0], lambda name: Aside(name, lambda: now[0]))
    monkeypatch.setattr(runtime_files, "prepare", lambda _: answers.wait(10))
    monkeypatch.setattr(runtime_files, "prepare_state", lambda _: answers.wait(10))
    monkeypatch.setattr(runtime_files, "hold", lambda _: os.open(tmp_path, os.O_RDONLY))

    def told() -> List[str]:
        assert premises.check()
        return [condition.text for condition in premises.conditions()]

    before = told()
    now[0] += 60.0  # we were stopped ourselves, and what was asked with us
    before += told()
    for _ in range(4):
        now[0] += PATIENCE_SECONDS / 4
        silent = told()
    answers.set()

    assert before == []
    assert silent == [
        f"RUNTIME_DIRECTORY does not answer: {runtime_files.folder(settings)}",
        f"STATE_DIRECTORY does not answer: {runtime_files.state_folder(settings)}",
    ]
    eventually(lambda: told() == [], 5, "it answers again")
