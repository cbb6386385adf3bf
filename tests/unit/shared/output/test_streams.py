"""What a command says by its exit code when it can't do what it should."""

from __future__ import annotations

import os
from typing import Type

import pytest

from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.output import streams


@pytest.mark.parametrize(
    ("problem", "code", "said"),
    [
        (KeyboardInterrupt, 130, "Interrupted"),
        (ValueError, ExitCode.FAULT, "Traceback"),
        (PermissionError, ExitCode.FAULT, "It can't be done"),
    ],
)
def test_each_way_to_fail_has_its_exit_code(
    problem: Type[BaseException], code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(streams, "silence", lambda _number=1: None)  # standard output is the test's

    def command(_closed: object) -> int:
        raise problem

    assert streams.guarded(command) == code
    assert said in capsys.readouterr().err


def test_a_standard_descriptor_that_was_closed_leads_to_nowhere_and_is_named() -> None:
    kept = os.dup(0)
    os.close(0)

    closed = streams.reopen()

    assert closed == ["standard input"]
    assert os.path.samestat(os.fstat(0), os.stat(os.devnull))
    assert os.get_inheritable(0), "processes that we start have it, too"
    os.dup2(kept, 0)
    os.close(kept)


def test_the_exit_code_of_a_command_that_works_is_its_own() -> None:
    assert streams.guarded(lambda closed: 2 if not closed else 0) == 2
