"""ISOLATION=process: what a task does to its process, it does to nobody else."""

from __future__ import annotations

import re

import pytest

from tests.support.messages import message, messages
from tests.support.scene import SECONDS, Scene, revocations

pytestmark = pytest.mark.processes

SETTINGS = {"ISOLATION": "process", "HANDLER_KILL_SECONDS": "1"}


def test_a_task_that_hangs_and_one_that_crashes_cost_their_own_processes_only(scene: Scene) -> None:
    running = scene.ready_service(processes=2, threads=2, env=SETTINGS)
    before, log_before = running.children(), len(running.log)
    batch = messages(200, keys=20)
    batch[40:40] = [message("hangs", "hangs", trouble="hang", times=1)]
    batch[80:80] = [message("crashes", "crashes", trouble="segfault", times=1)]

    scene.send(batch)
    scene.wait_done()
    children = running.children()
    running.terminate()

    assert running.wait(SECONDS) == 0
    log = running.log[log_before:]
    assert children == before
    assert revocations(log.split("SIGTERM received")[0]) == []
    assert sorted(scene.oracle.started_twice()) == ["crashes", "hangs"]
    assert scene.oracle.run_twice() == []
    assert scene.oracle.order_violations_per_key() == []
    assert scene.admin.lag(scene.group, scene.topic) == 0
    assert {entry.pid for entry in scene.ledger.entries()}.isdisjoint(before.values()), "the handler runs elsewhere"
    assert re.search(r"TaskDiedError: its task process: killed after 1\.\d s", log)
    assert re.search(r"TaskDiedError: its task process: killed by SIGSEGV", log)
    assert re.search(r'File ".*handlers\.py", line \d+ in _trouble', log), "the stack names the culprit"
