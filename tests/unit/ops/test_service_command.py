"""The first process of the service begins beside the look at handler and client, and has no work before that is done."""

from __future__ import annotations

from typing import Any, List

import pytest

from kafka_worker.ops import service_command
from kafka_worker.shared import logs
from kafka_worker.shared.configuration.load import load
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.supervision import preflight, supervisor

GIVEN = ["--bootstrap-servers", "nowhere:1", "--group", "group"]


class Beginning:
    """Notes what is done, in order."""

    def __init__(self, patch: pytest.MonkeyPatch, faults: List[str]) -> None:
        self.done: List[str] = []
        self._faults = faults
        patch.setattr(logs, "set_up", lambda *_: None)
        patch.setattr(service_command, "prepare", self._prepare)
        patch.setattr(preflight, "faults", self._look)
        patch.setattr(supervisor, "run", self._run)

    def _prepare(self, slot: int, _environment: Any) -> Any:
        self.done.append(f"a process for slot {slot}")
        return self

    def _look(self, *_: Any) -> List[str]:
        self.done.append("a look")
        return self._faults

    def _run(self, _settings: Any, _environment: Any, first: Any) -> ExitCode:
        self.done.append("work" if first is self else "nothing")
        return ExitCode.OK

    def dismiss(self) -> None:
        self.done.append("dismissed")


def test_the_first_process_begins_beside_the_look_and_works_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    beginning = Beginning(monkeypatch, [])

    assert service_command.run(load(GIVEN, {}, "no.env"), []) == ExitCode.OK
    assert beginning.done == ["a process for slot 0", "a look", "work"]


def test_what_is_wrong_is_told_once_and_the_first_process_never_works(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    beginning = Beginning(monkeypatch, ["HANDLER is wrong."])

    assert service_command.run(load(GIVEN, {}, "no.env"), []) == ExitCode.CONFIGURATION
    assert beginning.done == ["a process for slot 0", "a look", "dismissed"]
    assert capsys.readouterr().err.count("HANDLER is wrong.") == 1


def test_a_mere_check_begins_no_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    beginning = Beginning(monkeypatch, [])

    assert service_command.run(load([*GIVEN, "--check-config"], {}, "no.env"), []) == ExitCode.OK
    assert beginning.done == ["a look"]
    assert "KAFKA_GROUP_ID=group" in capsys.readouterr().out
