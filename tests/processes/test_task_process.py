"""How task processes end that do not end by themselves, and that none is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from typing import Any, Dict, Optional

import pytest

from kafka_worker import start
from kafka_worker.isolation.task_process import TaskDiedError, TaskProcessError
from tests.support.eventually import eventually
from tests.support.kafka_jars import ROOT
from tests.support.processes import MARKER, kill_marked, marked_processes, marker_value
from tests.support.task_processes import Runner

pytestmark = pytest.mark.processes

SECONDS = 20.0
SILENCE_SECONDS = 1.0
PARENT = "from tests.support.task_processes import Runner; Runner().call(%r, 600)"


def death_of(task: str, kill_after: Optional[float], **settings: Any) -> TaskDiedError:
    with contextlib.closing(Runner(**settings)) as runner:
        with pytest.raises(TaskDiedError) as died:
            runner.call(task, 600, kill_after)
        assert runner.call("echo", 1) == 1, "the next task has a new process"
    return died.value


@pytest.mark.parametrize("task", ["hang", "hold_gil"])
def test_a_task_that_takes_too_long_is_killed_and_shows_where_it_hung(task: str) -> None:
    died = death_of(task, 0.3)

    assert died.how.startswith("killed after 0.")
    assert f"in {task}\n" in died.last_stack


def test_a_handler_that_holds_the_interpreter_is_killed_for_its_silence_and_one_that_takes_long_is_not() -> None:
    died = death_of("hold_gil", None, heartbeat_timeout_seconds=SILENCE_SECONDS)
    patient = death_of("hang", 2.5 * SILENCE_SECONDS, heartbeat_timeout_seconds=SILENCE_SECONDS)

    assert died.how.startswith("silent for 1.")
    assert "in hold_gil\n" in died.last_stack
    assert patient.how.startswith("killed after 2.")


def test_a_task_process_that_was_stopped_for_longer_than_a_task_may_take_goes_on() -> None:
    with contextlib.closing(Runner()) as runner:
        assert runner.call("stop", 1.2, kill_after=0.9) == "woken"


def test_a_task_process_that_stays_stopped_is_replaced_and_its_message_is_not_to_blame() -> None:
    with contextlib.closing(Runner(heartbeat_timeout_seconds=SILENCE_SECONDS)) as runner:
        with pytest.raises(TaskProcessError, match=r"was stopped \(SIGSTOP, a debugger\) and silent for 1\."):
            runner.call("stop", 0, kill_after=0.5)

        assert runner.call("echo", 1) == 1


def test_a_task_process_is_told_dead_although_a_process_that_it_forked_still_has_its_channels(monkeypatch: Any) -> None:
    marker = marker_value(uuid.uuid4().hex)
    monkeypatch.setitem(start.ENVIRONMENT, MARKER, marker)
    try:
        assert death_of("fork", None).how == "exit 42"
    finally:
        kill_marked(marker)


def test_a_process_that_dies_while_it_loads_the_handler_is_no_tasks_fault(tmp_path: Any, monkeypatch: Any) -> None:
    (tmp_path / "crashes_at_import.py").write_text("import ctypes; ctypes.string_at(0)")
    monkeypatch.setitem(start.ENVIRONMENT, "PYTHONPATH", str(tmp_path))

    with pytest.raises(TaskProcessError, match="ended before it could run anything: killed by SIGSEGV"):
        Runner("crashes_at_import:handle").start()


@pytest.mark.parametrize("task", ["hang", "hold_gil"])
def test_no_task_process_outlives_its_parent(task: str) -> None:
    marker = marker_value(uuid.uuid4().hex)
    environment: Dict[str, str] = {**os.environ, MARKER: marker}
    parent = subprocess.Popen([sys.executable, "-c", PARENT % task], cwd=ROOT, env=environment, stderr=subprocess.PIPE)
    with parent:
        try:
            assert any(b"begins" in line for line in parent.stderr or ())
            assert len(marked_processes(marker)) == 2
            parent.send_signal(signal.SIGKILL)
            parent.wait()

            eventually(lambda: not marked_processes(marker), SECONDS, "the task process is gone too")
        finally:
            kill_marked(marker)
