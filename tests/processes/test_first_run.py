"""`python -m kafka_worker.ops.first_run` as a stranger would run it. It runs in a folder of its own, so that no `.env` of a
developer and no variable of the environment decides what is tested.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from typing import Dict, Iterator, Set

import pytest

from tests.support.eventually import eventually
from tests.support.kafka_jars import ROOT
from tests.support.processes import MARKER, kill_marked, marked_processes, marker_value

COMMAND = [sys.executable, "-m", "kafka_worker.ops.first_run"]


@pytest.fixture
def folder() -> Iterator[str]:
    """Working and temporary directory. Its path is short: a Unix socket's has to fit 107 bytes."""
    path = tempfile.mkdtemp(prefix="k-")
    yield path
    shutil.rmtree(path)


@pytest.fixture
def environment(folder: str) -> Iterator[Dict[str, str]]:
    """A stranger's environment. What a test leaves running under it is a fault, and is ended."""
    mark = marker_value(uuid.uuid4().hex)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    yield {**kept, "PYTHONPATH": str(ROOT), "TMPDIR": folder, MARKER: mark}
    left = marked_processes(mark)
    kill_marked(mark)
    assert left == []


def files_git_would_show() -> Set[str]:
    """In the project: neither committed nor ignored."""
    words = ["git", "ls-files", "--others", "--exclude-standard"]
    return set(subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines())


def number_of(name: str, output: str) -> int:
    found = re.search(rf"^==> +{name} +(\d+)", output, re.MULTILINE)
    assert found, f"no {name} in the account:\n{output}"
    return int(found[1])


def test_a_first_run_loses_nothing_survives_a_crash_and_leaves_nothing_behind(
    folder: str, environment: Dict[str, str]
) -> None:
    before, started = files_git_would_show(), time.monotonic()

    done = subprocess.run(COMMAND, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False, timeout=100)

    seconds = time.monotonic() - started
    assert done.returncode == 0, done.stdout
    assert number_of("sent", done.stdout) == number_of("done", done.stdout) > 100
    assert number_of("lost", done.stdout) == 0
    killed = re.search(r"kill -9 of process (\d+) \(slot (\d+)\)", done.stdout)
    assert killed, done.stdout
    assert f"process {killed[1]} ended: killed by SIGKILL" in done.stdout
    back = re.search(r"slot worked again after [\d.]+ s \(process (\d+)\)", done.stdout)
    assert back, done.stdout
    assert back[1] != killed[1]
    assert f"slot-{killed[2]}[{back[1]}] Finished processing message" in done.stdout
    assert os.listdir(folder) == []
    assert files_git_would_show() <= before
    assert seconds < 60


@contextlib.contextmanager
def at_work(folder: str, environment: Dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A first run whose service has begun its first message."""
    with subprocess.Popen(
        COMMAND,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Processing message" in line:
                break
        yield process


def test_one_interrupt_finishes_what_runs_and_ends_quietly(folder: str, environment: Dict[str, str]) -> None:
    with at_work(folder, environment) as process:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=40)

    assert process.returncode == 130
    assert "Traceback" not in output
    assert "Stopped: exit 0 (ok)" in output
    assert number_of("done", output) > 0
    assert number_of("done", output) + number_of("to do", output) == number_of("sent", output)
    assert os.listdir(folder) == []


def test_an_interrupt_is_heard_although_nobody_reads(folder: str, environment: Dict[str, str]) -> None:
    with at_work(folder, environment) as process:
        assert process.stdout is not None
        writer = os.open(f"/proc/self/fd/{process.stdout.fileno()}", os.O_WRONLY | os.O_NONBLOCK)
        for size in (4096, 1):
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(writer, b"\n" * size)
        os.close(writer)

        process.send_signal(signal.SIGINT)

        assert process.wait(40) == 130


def test_everything_ends_when_nobody_reads_the_output_any_more(folder: str, environment: Dict[str, str]) -> None:
    with at_work(folder, environment) as process:
        assert process.stdout is not None
        process.stdout.close()
        eventually(lambda: not marked_processes(environment[MARKER]), 40.0, "every process has ended")
    assert os.listdir(folder) == []


def test_a_configured_cluster_gets_the_real_service(folder: str, environment: Dict[str, str]) -> None:
    with open(os.path.join(folder, ".env"), "w", encoding="utf-8") as file:
        file.write("KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:1\n")

    done = subprocess.run(COMMAND, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=30)

    assert done.returncode == 78
    assert "KAFKA_GROUP_ID is required" in done.stderr  # the service's own word
    assert done.stdout == ""


def ended(folder: str, environment: Dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """The command, which ends by itself."""
    return subprocess.run(
        [*COMMAND, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=30
    )


def test_a_misspelt_cluster_is_no_reason_for_a_first_run(folder: str, environment: Dict[str, str]) -> None:
    done = ended(folder, {**environment, "KAFKA_BOOTSTRAP_SERVER": "127.0.0.1:1"})

    assert done.returncode == 78
    assert "did you mean KAFKA_BOOTSTRAP_SERVERS?" in done.stderr
    assert done.stdout == ""


def test_words_are_passed_on_to_the_real_service(folder: str, environment: Dict[str, str]) -> None:
    done = ended(folder, environment, "--help")

    assert done.returncode == 0
    assert "supervisor.py status" in done.stdout
