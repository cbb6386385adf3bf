"""The machine changes under a service that runs, or does not have what it needs. No broker is needed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Callable, Iterator, List, Sequence

import pytest

from tests.support.eventually import eventually
from tests.support.scene import SECONDS, on_host
from tests.support.service import Service

pytestmark = pytest.mark.processes

HANDLER = "tests.support.handlers:work"
DEGRADED = 1  # there is no broker


@pytest.fixture
def alone() -> Iterator[Callable[..., Service]]:
    """Makes services without a broker: `alone(prefix=…)`."""
    made: List[Service] = []

    def make(**options: object) -> Service:
        made.append(Service("127.0.0.1:1", "topic", "group", processes=1, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for service in made:
        service.close()


def started(service: Service) -> Service:
    service.start()
    eventually(lambda: "starting -> running" in service.log, SECONDS, "the process has started")
    wait_seated(service)
    return service


def wait_seated(service: Service) -> None:
    def seated() -> bool:
        (slot,) = service.slots()
        return bool(slot["child"]) and slot["child"]["stage"] == "consuming"

    eventually(seated, SECONDS, "the process has its seat")


def folder_of(service: Service) -> Path:
    (path,) = Path(service.runtime_directory).glob("group-*")
    return path


def files_of(service: Service) -> List[str]:
    return sorted(each.name for each in folder_of(service).iterdir())


def inodes_of(service: Service) -> List[int]:
    """Of files that are all in use, so that none of the numbers is given to another."""
    return [(folder_of(service) / name).stat().st_ino for name in FILES]


FILES = ["control", "slot-0.journal", "slot-0.lock", "slot-0.rejoin.topics", "supervisor.lock"]


def test_a_machine_that_is_called_something_else_by_now_goes_on_as_before(alone: Callable[..., Service]) -> None:
    service = started(alone(prefix=on_host("before")))
    renamed = alone(prefix=on_host("after"), runtime_directory=service.runtime_directory)
    subprocess.run(["nsenter", "--uts", "-t", str(service.pid), "hostname", "after"], check=True)
    before = service.children()

    os.kill(before[0], signal.SIGKILL)

    eventually(lambda: service.children().get(0, before[0]) != before[0], SECONDS, "it is replaced")
    wait_seated(service)
    asked = renamed.command("status")
    assert asked.returncode == DEGRADED, asked
    assert "group group on before" in asked.stdout


@pytest.mark.parametrize("taken", [FILES, None], ids=["files", "folder"])
def test_what_is_cleaned_away_is_made_anew_and_still_keeps_others_out(
    alone: Callable[..., Service], taken: Sequence[str]
) -> None:
    service = started(alone())
    before = service.children()
    folder = folder_of(service)
    eventually(lambda: files_of(service) == FILES, SECONDS, "all are there")

    if taken is None:
        shutil.rmtree(folder)
    else:
        for name in taken:
            (folder / name).unlink()

    eventually(lambda: folder.exists() and files_of(service) == FILES, SECONDS, "everything is there again")
    second = alone(runtime_directory=service.runtime_directory).start()
    assert second.wait(SECONDS) == 75
    assert f"already run on this host by process {service.pid}" in second.log
    eventually(lambda: "Recycling: done" in service.log, SECONDS, "a fresh process has a journal")
    assert service.children() != before
    assert " hangs " not in service.log
    assert "Fenced" not in service.log
    service.terminate()
    assert service.wait(SECONDS) == 0


@pytest.mark.skipif(shutil.which("systemd-tmpfiles") is None, reason="there is no systemd here")
def test_who_cleans_temporary_folders_leaves_ours_alone(alone: Callable[..., Service], tmp_path: Path) -> None:
    service = started(alone())
    eventually(lambda: files_of(service) == FILES, SECONDS, "everything is there")
    before = inodes_of(service)
    rule = tmp_path / "clean.conf"
    rule.write_text(f"d {service.runtime_directory} - - - 0\n")
    stranger = Path(service.runtime_directory) / "stranger"
    stranger.write_text("")

    subprocess.run(["systemd-tmpfiles", "--clean", str(rule)], check=True)

    assert not stranger.exists()
    assert inodes_of(service) == before, "they are no other ones, as those that are made anew"
    eventually(lambda: files_of(service) == FILES, SECONDS, "all are there, and no more")


def in_shell(line: str) -> List[str]:
    return ["unshare", "--mount", "sh", "-c", f'{line} && exec "$@"', "sh"]


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("ulimit -n 10", 78, "10 open files are allowed, and"),
        ("mount -t tmpfs -o nr_inodes=1 none {0}", 75, "cannot be used: [Errno 28] No space left on device"),
        ("mount -t tmpfs -o nr_inodes=3 none {0}", 75, "can't be used now: [Errno 28] No space left on device"),
        ("mount --bind {0} {0} && mount -o remount,ro,bind {0}", 78, "cannot be used: [Errno 30] Read-only file system"),
        ("export KAFKA_GROUP_ID=$(printf 'caf\\351')", 78, "KAFKA_GROUP_ID (the environment) is not UTF-8"),
    ],
    ids=["files", "no-folder", "no-socket", "read-only", "group"],
)
def test_what_the_machine_does_not_give_is_one_clear_fault(
    alone: Callable[..., Service], tmp_path: Path, line: str, code: int, told: str
) -> None:
    service = alone(prefix=in_shell(line.format(tmp_path)), runtime_directory=str(tmp_path)).start()

    assert service.wait(SECONDS) == code
    assert told in service.log
    assert "Traceback" not in service.log


def test_nothing_is_written_but_in_the_two_directories(alone: Callable[..., Service], tmp_path: Path) -> None:
    """Last words of task processes neither."""
    everything = f"mount --bind {tmp_path} {tmp_path} && mount -o remount,ro,bind /"
    env = {"STATE_DIRECTORY": str(tmp_path / "state"), "ISOLATION": "process", "PYTHONDONTWRITEBYTECODE": "1"}
    service = alone(prefix=in_shell(everything), runtime_directory=str(tmp_path), env=env)

    started(service)

    assert "runs tasks" in service.log
    assert (tmp_path / "state").is_dir()
    service.terminate()
    assert service.wait(SECONDS) == 0
    assert "Traceback" not in service.log
    assert "can't be" not in service.log


def test_a_full_runtime_directory_costs_the_journal_and_nothing_else(alone: Callable[..., Service], tmp_path: Path) -> None:
    prefix = in_shell(f"mount -t tmpfs -o size=64k none {tmp_path}")
    service = alone(prefix=prefix, runtime_directory=str(tmp_path)).start()

    eventually(lambda: "No journal: [Errno 28]" in service.log, SECONDS, "it says so")
    service.terminate()
    assert service.wait(SECONDS) == 0
    assert "Traceback" not in service.log


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make what is another user's")
@pytest.mark.parametrize("level", ["runtime", "folder"])
def test_a_place_that_somebody_else_has_prepared_is_refused_and_not_changed(
    alone: Callable[..., Service], tmp_path: Path, level: str
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o755)
    there = tmp_path / "there"
    if level == "runtime":
        there.symlink_to(theirs)
        os.lchown(there, 12345, -1)
    else:
        there.mkdir()
        service = started(alone(runtime_directory=str(there)))
        name = folder_of(service).name
        service.close()
        shutil.rmtree(there / name)
        (there / name).symlink_to(theirs)
    modes = [theirs.stat().st_mode, there.stat().st_mode]

    service = alone(runtime_directory=str(there)).start()

    assert service.wait(SECONDS) == 78
    assert "belongs to another user" in service.log or "cannot be used" in service.log
    assert [theirs.stat().st_mode, there.stat().st_mode] == modes
    assert list(theirs.iterdir()) == []
