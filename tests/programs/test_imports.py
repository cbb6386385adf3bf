"""What processes import, and so how long they take to start. Names, not seconds: those say nothing on a busy machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Set

import pytest

from tests.unit.fakes import some_settings

ROOT = Path(__file__).resolve().parents[2]
# What takes milliseconds, and what only some commands, settings or handlers have a use for.
HEAVY = {
    "confluent_kafka", "dotenv", "jsonschema_rs", "msgspec", "prometheus_client", "psutil", "pydantic", "pythonjsonlogger",
    "asyncio", "concurrent", "email", "http", "logging.config", "logging.handlers", "multiprocessing", "tempfile", "unittest",
    "urllib", "xml", "hashlib", "platform", "secrets", "ssl",
}  # fmt: skip
OF_THE_SERVICE = {
    "logging", "subprocess", "shutil", "threading", "traceback", "datetime", "random", "kafka_worker.supervision",
}  # fmt: skip
IMPORT = "import worker.start; worker.start.register(); import kafka_worker."


def imported(*words: str) -> Set[str]:
    """What Python imports when it is given these words, and the packages that it is in; but for what it always does."""
    return _names(*words) - _names("-c", "pass")


def _names(*words: str, said: str = "") -> Set[str]:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": "localhost:1", "KAFKA_GROUP_ID": "group", "RUNTIME_DIRECTORY": "/nowhere"}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *words],
        env={**environment, "PATH": os.environ["PATH"]},
        cwd=ROOT,
        input=said,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def test_status_imports_nothing_that_only_others_need() -> None:
    names = imported("supervisor.py", "status")

    assert "kafka_worker.ops.views.command" in names
    assert (names - _names("-c", "import argparse")) & (HEAVY | OF_THE_SERVICE) == set()  # that of 3.8 brings shutil


def test_the_supervisor_imports_nothing_that_only_others_need() -> None:
    names = imported("-c", f"{IMPORT}ops.commands, kafka_worker.ops.service_command, kafka_worker.supervision.supervisor")

    assert "kafka_worker.supervision.supervisor" in names
    assert names & HEAVY == set()


@pytest.mark.parametrize("module", ["process", "check"])
def test_a_process_imports_nothing_that_it_may_never_need(module: str) -> None:
    names = imported("-c", f"{IMPORT}{module}")
    needed = {"confluent_kafka", "concurrent"} | _names("-c", "import random")  # that of 3.8 brings hashlib

    assert "confluent_kafka" in names
    assert names & (HEAVY | {"argparse"}) - needed == set()


def test_the_look_at_a_handler_imports_nothing_that_only_calls_or_reports_of_it_need() -> None:
    names = _names("worker/start.py", "check", "--check", said=some_settings(bootstrap_servers="127.0.0.1:1").to_json())

    assert "kafka_worker.handler.loading" in names
    assert names & {"msgspec", "kafka_worker.partitions.assignment", "kafka_worker.shared.ipc.snapshot"} == set()


def test_a_task_process_imports_no_client_and_nothing_else_that_it_may_never_need() -> None:
    names = imported("-c", f"{IMPORT}isolation.main")

    assert "kafka_worker.isolation.main" in names
    assert names & (HEAVY | {"argparse"}) - _names("-c", "import random") == set()


def test_what_the_first_process_waits_for_is_little() -> None:
    """It begins when that is imported, and works while we read the settings."""
    names = imported("-c", f"{IMPORT}ops.commands, kafka_worker.supervision.children.prepared")

    assert "kafka_worker.supervision.children.prepared" in names
    assert names & (HEAVY | {"argparse", "dataclasses", "logging"}) == set()


def test_the_client_that_was_imported_without_asyncio_has_it_when_it_wants_it() -> None:
    program = (
        f"{IMPORT}kafka, sys; assert 'asyncio' not in sys.modules; from confluent_kafka import _serde_builder as wants; "
        "loop = getattr(wants, 'asyncio', None); import asyncio; print(loop is None or loop.Task is asyncio.Task)"
    )

    assert _said(program) == "True\n"


def test_nothing_is_loaded_before_somebody_asks() -> None:
    program = "import sys, kafka_worker; print([name for name in sys.modules if name.startswith('kafka_worker.')])"

    assert _said(program) == "[]\n"


def test_a_child_that_loads_settings_loads_nothing_but_the_standard_library() -> None:
    program = "import kafka_worker.shared.settings, sys; print([m for m in sys.modules if m.split('.')[0] in sys.argv[1:]])"

    assert _said(program, "pydantic", "pydantic_settings", "dotenv", "argparse") == "[]\n"


def test_a_process_without_schema_and_types_imports_no_library_for_them() -> None:
    program = (
        "import sys, kafka_worker.process; print([m for m in ('jsonschema_rs', 'pydantic', 'msgspec') if m in sys.modules])"
    )

    assert _said(program) == "[]\n"


def _said(program: str, *words: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program, *words], cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True
    ).stdout
