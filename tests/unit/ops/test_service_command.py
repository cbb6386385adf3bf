"""The first process of the service begins with the command, beside all looks at the settings, and has no work before they are
done."""

from __future__ import annotations

from typing import Any, List, Mapping

import pytest

from kafka_worker import start
from kafka_worker.ops import commands, service_command
from kafka_worker.shared import logs
from kafka_worker.shared.configuration.load import load
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.supervision import preflight, supervisor
from kafka_worker.supervision.children import prepared
from kafka_worker.supervision.children.prepared import First

GIVEN = ["--bootstrap-servers", "nowhere:1", "--group", "group"]
ENVIRONMENT = {"PATH": "/bin"}


class Beginning:
    """Notes what is done, in order."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.done: List[str] = []
        self.faults: List[str] = []
        self.ended = False
        patch.setattr(logs, "set_up", lambda *_: None)
        patch.setattr(prepared, "prepare", self._prepare)
        patch.setattr(preflight, "look", self._look)
        patch.setattr(supervisor, "run", self._run)

    def _prepare(self, slot: int, environment: Mapping[str, str]) -> Any:
        self.done.append(f"a process for slot {slot} with {', '.join(environment)}")
        return self

    def _look(self, *_: Any) -> preflight.Found:
        self.done.append("a look")
        return preflight.Found(self.faults)

    def _run(self, _settings: Any, _environment: Any, first: Any) -> ExitCode:
        self.done.append("work" if (first.take(1), first.take(0), first.take(0)) == (None, self, None) else "nothing")
        return ExitCode.OK

    def dismiss(self) -> None:
        self.done.append("dismissed")

    @staticmethod
    def run(*words: str, env_file: str = "no.env") -> int:
        """The command, which has begun a process already."""
        with First() as first:
            first.begin(ENVIRONMENT)
            return service_command.run(load([*GIVEN, *words], ENVIRONMENT, env_file), [], first)


@pytest.fixture
def beginning(monkeypatch: pytest.MonkeyPatch) -> Beginning:
    return Beginning(monkeypatch)


def test_the_process_that_has_begun_before_the_look_works_after_it(beginning: Beginning) -> None:
    assert beginning.run() == ExitCode.OK
    assert beginning.done == ["a process for slot 0 with PATH", "a look", "work"]


def test_where_processes_have_another_environment_one_begins_that_has_it(beginning: Beginning, tmp_path: Any) -> None:
    (tmp_path / "file").write_text("DATABASE=theirs\n")

    assert beginning.run(env_file=str(tmp_path / "file")) == ExitCode.OK
    assert beginning.done == [
        "a process for slot 0 with PATH", "dismissed", "a process for slot 0 with DATABASE, PATH", "a look", "work",
    ]  # fmt: skip


def test_what_is_wrong_is_told_once_and_the_first_process_never_works(
    beginning: Beginning, capsys: pytest.CaptureFixture[str]
) -> None:
    beginning.faults = ["HANDLER is wrong."]

    assert beginning.run() == ExitCode.CONFIGURATION
    assert beginning.done == ["a process for slot 0 with PATH", "a look", "dismissed"]
    assert capsys.readouterr().err.count("HANDLER is wrong.") == 1


def test_a_process_that_has_waited_too_long_for_its_settings_is_not_taken(beginning: Beginning) -> None:
    """As a disk has answered late, say: that costs no restart."""
    beginning.ended = True

    assert beginning.run() == ExitCode.OK
    assert beginning.done == ["a process for slot 0 with PATH", "a look", "dismissed", "nothing"]


@pytest.mark.parametrize(
    ("words", "begun"),
    [([], True), (["--group", "orders"], True), (["status"], False), (["--json", "lag"], False), (["--check-config"], False)],
)
def test_a_process_begins_before_the_settings_are_read_if_a_service_is_asked_for(
    beginning: Beginning, monkeypatch: pytest.MonkeyPatch, words: List[str], *, begun: bool
) -> None:
    monkeypatch.setattr(start, "ENVIRONMENT", ENVIRONMENT)
    monkeypatch.setattr(commands, "_done", lambda *_: beginning.done.append("the settings are read"))

    commands.command(words, [])

    assert (beginning.done[0] == "a process for slot 0 with PATH") == begun
    assert beginning.done.index("the settings are read") == begun
