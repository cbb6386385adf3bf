"""Handlers that fork: in a process of their own (see `tests.support.forking`), because what is wrong goes on in copies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from typing import Any, Dict, NamedTuple

import pytest

from kafka_worker.shared.system.locks import Lock
from tests.support.forking import TASKS
from tests.support.kafka_jars import ROOT
from tests.support.processes import MARKER, kill_marked, marked_processes, marker_value

SECONDS = 60.0
KINDS = ("process", "process_list", "process_soon", "process_by_hand", "process_in_haste", "leave_one_behind")


class Aftermath(NamedTuple):
    """What is there when the process has ended."""

    told: Dict[str, Any]
    left: int  # copies
    free: bool  # the lock, while they live


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    folder = tmp_path_factory.mktemp("forks")
    marker = marker_value(uuid.uuid4().hex)
    environment = {**os.environ, MARKER: marker, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "tests.support.forking", str(folder), *KINDS]
    lock = Lock(str(folder / "lock"))
    try:
        ran = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, timeout=SECONDS, check=True)
        return Aftermath(json.loads(ran.stdout), len(marked_processes(marker)), lock.try_acquire())
    finally:
        lock.release()
        kill_marked(marker)


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_that_a_handler_makes_answers_for_nobody(aftermath: Aftermath, kind: str) -> None:
    assert aftermath.told[kind] == [TASKS, TASKS, []]


def test_a_copy_that_comes_back_from_a_handler_ends(aftermath: Aftermath) -> None:
    assert aftermath.left == 1


def test_signals_of_copies_are_no_signals_to_us(aftermath: Aftermath) -> None:
    """`multiprocessing.Pool` ends its processes by SIGTERM, also those that have not begun yet."""
    assert aftermath.told["signals"] == []


def test_a_copy_that_outlives_us_has_no_descriptor_of_ours(aftermath: Aftermath) -> None:
    assert aftermath.told["kept"] == []


def test_a_copy_that_outlives_us_does_not_hold_our_locks(aftermath: Aftermath) -> None:
    assert aftermath.free
