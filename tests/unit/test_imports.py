"""What processes import, and so how long they take to start. Names, not seconds: those say nothing on a busy machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Set

ROOT = Path(__file__).resolve().parents[2]
# What takes milliseconds, and what only some commands, settings or handlers have a use for.
HEAVY = {
    "confluent_kafka", "dotenv", "jsonschema_rs", "msgspec", "prometheus_client", "psutil", "pydantic", "pythonjsonlogger",
    "asyncio", "concurrent", "email", "http", "logging.config", "logging.handlers", "multiprocessing", "tempfile", "unittest",
    "urllib", "xml",
}  # fmt: skip
OF_THE_SERVICE = {
    "logging", "subprocess", "shutil", "threading", "traceback", "datetime", "random", "kafka_worker.supervision",
}  # fmt: skip
IMPORT = "import worker.start; worker.start.register(); import kafka_worker."


def imported(*words: str) -> Set[str]:
    """What Python imports when it is given these words, and the packages that it is in; but for what it always does."""
    return _names(*words) - _names("-c", "pass")


def _names(*words: str) -> Set[str]:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": "localhost:1", "KAFKA_GROUP_ID": "group", "RUNTIME_DIRECTORY": "/nowhere"}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *words],
        env={**environment, "PATH": os.environ["PATH"]},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def test_status_imports_nothing_that_only_others_need() -> None:
    names = imported("supervisor.py", "status")

    assert "kafka_worker.ops.status_command" in names
    assert (names - _names("-c", "import argparse")) & (HEAVY | OF_THE_SERVICE) == set()  # that of 3.8 brings shutil


def test_the_supervisor_imports_nothing_that_only_others_need() -> None:
    names = imported("-c", f"{IMPORT}ops.commands, kafka_worker.ops.service_command, kafka_worker.supervision.supervisor")

    assert "kafka_worker.supervision.supervisor" in names
    assert names & HEAVY == set()


def test_a_process_imports_nothing_that_it_may_never_need() -> None:
    names = imported("-c", f"{IMPORT}process")
    ours = names - _names("-c", "import confluent_kafka")  # which brings asyncio, and more

    assert "confluent_kafka" in names
    assert ours & (HEAVY | {"argparse"}) == set()
