"""ISOLATION=process: what a task does to its process, it does to nobody else."""

from __future__ import annotations

import re
import resource
from typing import TYPE_CHECKING

import pytest

from tests.support.eventually import eventually
from tests.support.messages import message, messages
from tests.support.scene import SECONDS, Scene, revocations
from tests.support.service import Service

if TYPE_CHECKING:
    from pathlib import Path

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


def test_the_process_that_began_before_its_settings_were_known_may_open_as_many_files_as_those_after_it() -> None:
    few = ["sh", "-c", 'ulimit -Sn 100 && exec "$@"', "sh"]
    env = {"ISOLATION": "process"}

    with Service("127.0.0.1:1", "topic", "group", processes=2, threads=10, env=env, prefix=few) as running:
        eventually(lambda: [slot for slot in running.slots() if slot["child"]][1:], SECONDS, "both have been heard")
        allowed = [resource.prlimit(pid, resource.RLIMIT_NOFILE)[0] for pid in running.children().values()]

    assert allowed == [64 + 10 * 5] * 2, "what any needs, and what their task processes do"


def test_while_no_task_process_can_be_had_tasks_wait_without_losing_an_attempt_and_status_says_why(
    scene: Scene, tmp_path: Path
) -> None:
    """Here because the handler's module was broken by a deployment, and the processes that had loaded it have ended."""
    letters = scene.admin.create_topic(scene.topic + ".dlq", partitions=1)
    handler, good = tmp_path / "changing_handler.py", "from tests.support.handlers import work\n"
    handler.write_text(good)
    paths = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", "MAX_ATTEMPTS": "1", "BREAKER_MIN_CALLS": "1"}
    running = scene.ready_service(
        processes=1, threads=2, handler="changing_handler:work", env={"ISOLATION": "process", **paths}
    )
    handler.write_text("from nowhere import work\n")
    scene.send([message(f"exits-{number}", f"exits-{number}", trouble="exit", times=1) for number in range(2)])
    scene.send(messages(50, keys=50))

    eventually(lambda: "No module named 'nowhere'" in str(running.status()["problems"]), SECONDS, "status says why")
    eventually(lambda: running.log.count("is tried again in 5.0 s") > 0, SECONDS, "the log says so")
    handler.write_text(good)

    scene.wait_done()
    eventually(lambda: scene.admin.lag(scene.group, scene.topic) == 0, SECONDS, "everything is committed")
    assert scene.admin.records(letters) == []
    assert {entry.attempt for entry in scene.ledger.of("start") if not entry.id.startswith("exits")} == {1}
    eventually(lambda: not running.status()["problems"], SECONDS, "the service is healthy")
