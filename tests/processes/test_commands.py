"""The commands beside the service, wherever they print to and however they are written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, Sequence

import pytest

from kafka_worker.shared.ipc.snapshot import as_json
from tests.support.answering import answering, service_environment
from tests.support.kafka_jars import ROOT
from tests.unit.reports import TASK, child, slot, snapshot

pytestmark = pytest.mark.processes

HEALTHY, DEGRADED, NOT_RUNNING, FAULT, REFUSED = 0, 1, 2, 70, 78
COMMAND_SECONDS = 30.0
KEY = "Kundin-Müller\x1b[2J"  # not ASCII, and it would clear the screen
WELL = as_json(snapshot(slot(child=child(tasks=[TASK._replace(key=KEY)]))))
BROKEN = {**WELL, "problems": ["slot 0: \x1b]0;all is well\x07"]}


@pytest.fixture
def environment() -> Iterator[Dict[str, str]]:
    with service_environment() as ours:
        yield ours


def run(words: Sequence[str], environment: Dict[str, str], **options: Any) -> subprocess.CompletedProcess[str]:
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    command = [sys.executable, str(ROOT / "supervisor.py"), *words]
    return subprocess.run(
        command, cwd=environment["RUNTIME_DIRECTORY"], env=environment, stdin=subprocess.DEVNULL, text=True, check=False,
        timeout=COMMAND_SECONDS, **streams,
    )  # fmt: skip


@pytest.mark.parametrize("words", [["status"], ["status", "--json"]])
@pytest.mark.parametrize(("answer", "code"), [(WELL, HEALTHY), (BROKEN, DEGRADED)])
def test_status_shows_what_a_terminal_can_not_and_never_commands_it(
    words: Sequence[str], answer: Dict[str, Any], code: int, environment: Dict[str, str]
) -> None:
    with answering(environment, answer):
        asked = run(words, {**environment, "PYTHONIOENCODING": "ascii"})

    assert (asked.returncode, asked.stderr) == (code, "")
    assert "Kundin-M\\xfcller\\x1b[2J" in asked.stdout or json.loads(asked.stdout) == answer
    assert "\x1b" not in asked.stdout


@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["metrics"]])
def test_a_reader_that_has_seen_enough_changes_no_exit_code(words: Sequence[str], environment: Dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with answering(environment, BROKEN), open(writing, "w", encoding="utf-8") as nobody:
        asked = run(words, environment, stdout=nobody)

    assert (asked.returncode, asked.stderr) == (HEALTHY if words == ["metrics"] else DEGRADED, "")


@pytest.mark.parametrize(("answer", "where"), [(WELL, "/dev/full"), ({"error": "unknown command"}, os.devnull)])
def test_a_fault_of_the_command_is_no_word_about_the_service(
    answer: Dict[str, Any], where: str, environment: Dict[str, str]
) -> None:
    with answering(environment, answer), open(where, "w", encoding="utf-8") as full:
        asked = run(["status"], environment, stdout=full)

    assert asked.returncode == FAULT
    assert asked.stderr != ""


@pytest.mark.parametrize(
    "words",
    [["status", "--jsno"], ["--jsno", "status"], ["metrics", "--json"], ["status", "--group"], ["dead-letters"]],
)
def test_a_misspelt_command_runs_nothing_of_the_users(words: Sequence[str], environment: Dict[str, str]) -> None:
    folder = Path(environment["RUNTIME_DIRECTORY"])
    (folder / "mine.py").write_text(f"open({str(folder / 'imported')!r}, 'w')\ndef work(message): pass\n")

    asked = run(words, {**environment, "HANDLER": "mine:work", "PYTHONPATH": str(folder)})

    assert asked.returncode == REFUSED
    assert asked.stderr.startswith("The configuration is wrong, nothing was done:\n  - ")
    assert not (folder / "imported").exists()


def test_a_closed_standard_error_is_told_on_the_output_and_nothing_is_started(environment: Dict[str, str]) -> None:
    words = " ".join([sys.executable, str(ROOT / "supervisor.py")])
    command = ["bash", "-c", f"exec {words} 2>&-"]

    asked = subprocess.run(
        command, cwd=environment["RUNTIME_DIRECTORY"], env=environment, capture_output=True, text=True, check=False,
        timeout=COMMAND_SECONDS,
    )  # fmt: skip

    assert asked.returncode == REFUSED
    assert asked.stdout.startswith("Nothing was started: standard error is closed")
