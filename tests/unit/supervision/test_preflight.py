"""What is said when nothing can be started."""

from __future__ import annotations

import sys
from typing import List

import pytest

from kafka_worker.shared.configuration.command_line import parser
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.supervision import preflight
from tests.unit.fakes import some_settings


@pytest.mark.parametrize(
    ("program", "next_step"),
    [
        ("supervisor.py", "All settings: supervisor.py --help, .env.example. A first look without a Kafka: make run"),
        (
            "kafka-worker",
            "All settings: kafka-worker --help. A first look without a Kafka: python -m kafka_worker.ops.first_run",
        ),
    ],
)
def test_faults_and_help_name_the_command_as_it_was_started(
    program: str, next_step: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [f"/somewhere/{program}"])

    code = preflight.refuse(["THREADS is wrong."])

    assert (code, capsys.readouterr().err) == (
        ExitCode.CONFIGURATION,
        f"The configuration is wrong, nothing was started:\n  - THREADS is wrong.\n{next_step}\n",
    )
    assert f"{program} status --json" in parser().format_help()


@pytest.mark.parametrize(("late", "told"), [(False, []), (True, ["HANDLER=m:work can't be imported within 30 s"])])
def test_who_starts_nothing_waits_longer_for_a_handler_and_is_told_that_it_was_not_long_enough(
    late: bool, told: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: List[float] = []

    def look(*_: object, seconds: float) -> preflight.Found:
        waited.append(seconds)
        return preflight.Found([], late=late)

    monkeypatch.setattr(preflight, "look", look)
    found = preflight.thorough(some_settings(handler="m:work"), {})

    assert waited[0] > preflight.LIMIT_SECONDS
    assert [each.partition(": ")[0] for each in found.warnings] == told
