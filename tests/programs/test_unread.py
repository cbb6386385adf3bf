"""What commands say by their exit codes when nobody reads what they print."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.kafka_jars import ROOT

CODES = {"status": 2, "explain t": 2, "pauses": 2, "statsu": 78, "check --threads x": 78}


def pipe_without_reader() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize("full", [False, True], ids=["closed", "full"])
def test_an_exit_code_is_the_same_when_nobody_reads(tmp_path: Path, *, full: bool) -> None:
    environment = {"PATH": os.environ["PATH"], "KAFKA_GROUP_ID": "g", "KAFKA_TOPIC": "t", "RUNTIME_DIRECTORY": str(tmp_path)}
    unread = os.open("/dev/full", os.O_WRONLY) if full else pipe_without_reader()
    # A full disk keeps `check` from its work, which is to print.
    out = subprocess.DEVNULL if full else unread

    codes = {
        words: subprocess.run(
            [sys.executable, str(ROOT / "supervisor.py"), *words.split()],
            stdout=out, stderr=unread, cwd=tmp_path, env=environment, check=False,
        ).returncode
        for words in CODES
    }  # fmt: skip

    os.close(unread)
    assert codes == CODES
