"""What the service is refused for at its start, `check` tells in the same words, and changes nothing for that."""

from __future__ import annotations

import faulthandler
import importlib.util
import os
import resource
import stat
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from kafka_worker.ops import service_command
from kafka_worker.ops.doctor import command
from kafka_worker.ops.doctor.facts import Kafka
from kafka_worker.shared import http_settings, logs
from kafka_worker.shared.configuration.load import ConfigurationError, load
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.system import runtime_files
from kafka_worker.supervision import preflight, supervisor
from kafka_worker.supervision.children.prepared import First


class Bench:
    """A machine on which the service could start."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder / "runtime", patch
        self.env: Dict[str, str] = {
            "KAFKA_BOOTSTRAP_SERVERS": "nowhere:1", "KAFKA_GROUP_ID": "workers", "RUNTIME_DIRECTORY": str(self.folder),
        }  # fmt: skip
        self.handler_faults: List[str] = []
        patch.setattr(preflight, "look", lambda *_, **__: preflight.Found(self.handler_faults))
        patch.setattr(command, "asked", lambda _: Kafka())
        patch.setattr(supervisor, "Supervisor", lambda *_: pytest.fail("the service has started"))
        patch.setattr(logs, "set_up", lambda *_: None)
        patch.setattr(faulthandler, "enable", lambda **_: None)

    def start(self) -> int:
        try:
            configuration = load([], self.env, "no.env")
        except ConfigurationError as problem:
            return service_command.refuse(problem)
        with First() as first:
            self.patch.setattr(first, "begin", lambda _: None)
            return service_command.run(configuration, [], first)

    def check(self) -> int:
        try:
            return command.run(load(["check"], self.env, "no.env"))
        except ConfigurationError as problem:
            return command.run(problem.partial, problem.faults)

    @property
    def ours(self) -> Path:
        """The folder of the service."""
        return Path(runtime_files.folder(load(["check"], self.env, "no.env").settings))

    def owned(self, path: Path, mode: int = 0o755) -> None:
        """A folder is there, and is a user's who is neither we nor root, or ours with this mode, as the system tells it."""
        path.mkdir(parents=True, exist_ok=True)
        kept = {each: getattr(os, each) for each in ("stat", "lstat", "fstat")}
        number = path.stat().st_ino

        def told(name: str) -> Callable[..., Any]:
            def look(*given: Any, **more: Any) -> Any:
                found = list(kept[name](*given, **more))
                if found[1] == number:
                    found[0], found[4] = stat.S_IFDIR | mode, 4711
                return os.stat_result(found)

            return look

        for name in ("lstat", "fstat"):
            self.patch.setattr(os, name, told(name))


def nothing_there(bench: Bench) -> None:
    bench.folder = bench.folder.parent / "file"
    bench.folder.write_text("")
    bench.env["RUNTIME_DIRECTORY"] = str(bench.folder / "in" / "it")


def a_link_to_nowhere(bench: Bench) -> None:
    bench.folder.symlink_to("nowhere")


def a_link_that_is_followed_by_more(bench: Bench) -> None:
    bench.folder.symlink_to("nowhere")
    bench.env["RUNTIME_DIRECTORY"] += "/more"


def a_link_in_our_place(bench: Bench) -> None:
    bench.folder.mkdir()
    bench.ours.symlink_to(bench.folder)


def a_folder_of_ours_for_everybody(bench: Bench) -> None:
    bench.patch.setattr(os, "getuid", lambda: 4711)
    bench.owned(bench.folder, 0o777)


def a_few_open_files(bench: Bench) -> None:
    bench.patch.setattr(resource, "getrlimit", lambda _: (32, 32))


def no_uvicorn(bench: Bench) -> None:
    bench.env["HTTP"] = "127.0.0.1:8080"
    found = importlib.util.find_spec
    bench.patch.setattr(http_settings, "find_spec", lambda name: None if name == "uvicorn" else found(name))


REFUSED: Dict[str, Callable[[Bench], object]] = {
    "a wrong setting": lambda bench: bench.env.update(PROCESSES="many"),
    "two wrong settings": lambda bench: bench.env.update(KAFKA_GROUP_ID="", MAX_ATTEMPS="3"),
    "an address that is none": lambda bench: bench.env.update(HTTP="here"),
    "no token in its file": lambda bench: bench.env.update(HTTP="[::]:0", HTTP_TOKEN_FILE="/nowhere"),
    "a handler": lambda bench: bench.handler_faults.append("HANDLER=no:thing cannot be imported"),
    "no uvicorn": no_uvicorn,
    "a few open files": a_few_open_files,
    "a file in the way": nothing_there,
    "a link to nowhere": a_link_to_nowhere,
    "a link that is followed by more": a_link_that_is_followed_by_more,
    "a link in our place": a_link_in_our_place,
    "a path too long": lambda bench: bench.env.update(RUNTIME_DIRECTORY="/" + "long" * 40),
    "a stranger's folder": lambda bench: bench.owned(bench.folder),
    "a stranger's folder in ours": lambda bench: bench.owned(bench.ours),
    "a folder of ours for everybody": a_folder_of_ours_for_everybody,
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_the_start_refuses_check_tells_in_the_same_words(
    why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench(tmp_path, monkeypatch)
    REFUSED[why](bench)
    before = sorted(tmp_path.rglob("*"))
    checked, told = bench.check(), capsys.readouterr().out
    made = set(tmp_path.rglob("*")) - set(before)
    code = bench.start()
    refused = capsys.readouterr().err.split("\n  - ")[1:]

    assert code == ExitCode.CONFIGURATION
    assert refused
    assert [fault for fault in refused if fault.split("\nAll settings: ")[0] not in told] == []
    assert checked != ExitCode.OK
    assert not made, "check changes nothing"
