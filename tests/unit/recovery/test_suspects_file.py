from __future__ import annotations

import contextlib
import math
import os
import resource
import threading
import time
from pathlib import Path
from typing import Iterator, List
from unittest.mock import Mock

import pytest

from kafka_worker.partitions.task import TaskId
from kafka_worker.recovery import suspects_file
from kafka_worker.recovery.suspects_file import NAME, SuspectsFile
from kafka_worker.shared.system import locks, room, runtime_files
from tests.support.eventually import eventually
from tests.unit.fakes import some_settings

HERE: TaskId = ("topic", 3, 100)
THERE: TaskId = ("topic", 4, 7)
AFAR: TaskId = ("topic", 5, 1)


def memory(folder: Path) -> SuspectsFile:
    """Of one process of the service that has its state there."""
    return SuspectsFile(some_settings(state_directory=str(folder)))


def file_in(folder: Path) -> Path:
    (found,) = folder.glob("*/" + NAME)
    return found


def test_what_one_process_remembers_all_do_and_those_after_them(tmp_path: Path) -> None:
    first, second = memory(tmp_path), memory(tmp_path)

    first.blame([HERE, THERE], "killed by SIGSEGV")
    counts = second.blame([HERE], "exit 42")
    first.forget([THERE])

    assert set(first.known) == {HERE}
    eventually(first.write_owed, 5, "it is written, not for each one at once")
    assert counts[HERE].deaths == 2
    assert set(memory(tmp_path).read()) == {HERE}


def test_what_ran_when_all_files_were_open_is_written_by_what_was_kept_for_that(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        highest = max(map(int, os.listdir("/proc/self/fd")))  # of a service none is above the limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 10, before[1]))
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                stack.enter_context(open(os.devnull))
        assert room.out_of_files()

        memory(tmp_path).blame([HERE], "ran")

    assert set(memory(tmp_path).read()) == {HERE}


def test_blame_from_many_sides_at_once_is_counted_in_full(tmp_path: Path) -> None:
    def blame() -> None:
        own = memory(tmp_path)  # an open file of its own, as each process has
        for _ in range(5):
            own.blame([HERE], "")
        eventually(own.write_owed, 5, "the others were done with the file")

    threads = [threading.Thread(target=blame) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert memory(tmp_path).read()[HERE].deaths == 20


@contextlib.contextmanager
def kept(folder: Path) -> Iterator[None]:
    """The file is, as by a process that was stopped in the middle of a change."""
    memory(folder).blame([], "")
    lock = locks.Lock(str(file_in(folder)) + ".lock")
    lock.acquire()
    yield
    lock.release()


def test_a_file_that_another_process_keeps_is_waited_for_once_and_what_is_new_is_written_later_and_in_order(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = memory(tmp_path), memory(tmp_path)
    patience: List[float] = []
    usual = locks.Lock.acquire_within

    def acquire_within(lock: locks.Lock, seconds: float) -> bool:
        patience.append(seconds)
        return usual(lock, seconds)

    monkeypatch.setattr(suspects_file, "LOCK_SECONDS", 0.02)
    with kept(tmp_path):
        monkeypatch.setattr(locks.Lock, "acquire_within", acquire_within)
        begun = time.monotonic()
        first = here.blame([HERE, THERE], "")
        waited = time.monotonic() - begun
        for _ in range(20):
            here.blame([HERE], "")
        here.forget([THERE])
        here.forget([HERE])
        last = here.blame([HERE], "hangs")
        owed = here.write_owed()
        tries = len(patience)
        elsewhere = there.read()

    assert waited >= 0.02
    assert patience[:tries] == [0.02, *[0.0] * (tries - 1)]
    assert ({place: each.deaths for place, each in first.items()}, last[HERE].deaths) == ({HERE: 1, THERE: 1}, 1)
    assert (owed, elsewhere, set(here.read())) == (False, {}, {HERE})
    assert ["stands still" in record.message for record in caplog.records] == [True]
    assert here.write_owed()
    assert {place: (each.deaths, each.how) for place, each in there.read().items()} == {HERE: (1, "hangs")}


def test_what_is_owed_to_a_disk_that_fails_then_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: str, _text: str) -> None:
        raise OSError(28, "No space left on device")

    here = memory(tmp_path)
    monkeypatch.setattr(suspects_file, "LOCK_SECONDS", 0.0)
    with kept(tmp_path):
        here.blame([HERE], "")
    monkeypatch.setattr(runtime_files, "replace", full)

    assert here.write_owed()
    assert here.read()[HERE].deaths == 1


def test_thousands_that_ran_when_all_processes_died_are_remembered_and_forgotten_without_a_write_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = memory(tmp_path)
    written = Mock(wraps=runtime_files.replace)
    monkeypatch.setattr(runtime_files, "replace", written)
    crowd = [("topic", 0, offset) for offset in range(3000)]

    known = here.blame(crowd, "was running when its process died")
    for place in crowd[:100]:
        here.forget([place])
        here.write_owed()
    eventually(here.write_owed, 5, "nothing is owed")

    assert len(known) == 3000
    assert set(memory(tmp_path).read()) == set(crowd[100:])
    assert written.call_count < 50


def test_to_forget_what_was_never_suspect_touches_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_files, "replace", lambda *_: pytest.fail("the file was written"))

    memory(tmp_path).forget([HERE])


@pytest.mark.parametrize("garbage", [b"", b"\xff\xfe", b"{", b'{"version": 2, "suspects": []}', b'{"version": 1}'])
def test_a_damaged_file_is_one_warning_and_is_made_anew(
    tmp_path: Path, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    memory(tmp_path).blame([HERE], "")
    file_in(tmp_path).write_bytes(garbage)
    after = memory(tmp_path)

    read = [after.read(), after.read()]
    after.blame([THERE], "")

    assert read == [{}, {}]
    assert ["damaged" in record.message for record in caplog.records] == [True]
    assert set(memory(tmp_path).read()) == {THERE}


def test_without_a_place_to_write_it_is_one_warning_and_a_memory_of_this_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    alone = memory(tmp_path / "file" / "below")

    alone.blame([HERE], "")
    alone.blame([HERE], "")

    assert alone.read()[HERE].deaths == 2
    assert ["this process only" in record.message for record in caplog.records] == [True]


def test_a_disk_that_fills_up_is_one_warning_and_what_was_counted_meanwhile_is_written_when_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_path: str, _text: str) -> None:
        raise OSError(28, "No space left on device")

    here = memory(tmp_path)
    here.blame([HERE, AFAR], "")
    with monkeypatch.context() as patch:
        patch.setattr(runtime_files, "replace", full)
        here.blame([HERE], "")
        here.blame([THERE], "")
        here.forget([AFAR])
        waited_for = not here.write_owed()
        known = {place: each.deaths for place, each in here.read().items()}
        elsewhere = memory(tmp_path).read()
    monkeypatch.setattr(time, "monotonic", lambda: math.inf)

    here.write_owed()

    assert not waited_for
    assert (known, set(elsewhere)) == ({HERE: 2, THERE: 1}, {HERE, AFAR})
    assert {place: each.deaths for place, each in memory(tmp_path).read().items()} == known
    assert ["No space left" in record.message for record in caplog.records] == [True]


def test_a_death_between_writing_and_renaming_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory(tmp_path).blame([HERE], "")

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", dies)
        memory(tmp_path).blame([THERE], "")

    assert set(memory(tmp_path).read()) == {HERE}


def test_the_state_is_for_its_owner_alone_and_each_service_has_its_own(tmp_path: Path) -> None:
    one = some_settings(state_directory=str(tmp_path / "state"))
    other = some_settings(state_directory=str(tmp_path / "state"), group_id="other")

    folder = runtime_files.prepare_state(one)
    memory(tmp_path / "state").blame([HERE], "")

    assert SuspectsFile(other).read() == {}
    assert os.stat(folder).st_mode & 0o777 == 0o700
    assert os.stat(tmp_path / "state").st_mode & 0o777 == 0o700
    assert os.stat(os.path.join(folder, NAME)).st_mode & 0o777 == 0o600
