"""Beside a service that runs: the same command a second time, and the question how it is."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any, Dict

import pytest

from kafka_worker.shared.ipc.snapshot import VERSION
from tests.support.eventually import eventually
from tests.support.load import keys_of_partitions
from tests.support.messages import message
from tests.support.ports import free_ports
from tests.support.scene import PARTITIONS, SECONDS, Scene, revocations

if TYPE_CHECKING:
    from tests.support.service import Service

pytestmark = pytest.mark.processes

REFUSED_SECONDS = 10.0
HEALTHY, DEGRADED, NOT_RUNNING = 0, 1, 2  # exit codes of `status`


def test_a_second_supervisor_of_a_group_is_refused_and_disturbs_nothing(scene: Scene) -> None:
    first = scene.ready_service()
    children, log_before = first.children(), len(first.log)
    with scene.load():
        second = scene.service(runtime_directory=first.runtime_directory)
        code = second.wait(REFUSED_SECONDS)
        scene.wait_progress()

    assert code == 75
    assert f"Group {scene.group} is already run on this host by process {first.pid}. Stop that one" in second.log
    assert "started process" not in second.log
    assert first.children() == children
    assert revocations(first.log[log_before:]) == []
    scene.assert_each_ran_once()


def test_status_names_what_is_done_and_what_runs_and_its_exit_code_tells_health(scene: Scene) -> None:
    service = scene.service()
    key = keys_of_partitions(PARTITIONS, 1)[5][0]
    scene.send([message(f"done-{number}", key, number) for number in range(3)])
    service.wait_ready(partitions=PARTITIONS)
    scene.wait_done()
    scene.send([message("runs", key, 3, trouble="hang")])
    scene.wait_running("runs")
    eventually(
        lambda: [partition(service.status(), 5)[name] for name in ("in_flight", "committed")] == [1, 3],
        SECONDS,
        "its report says so",
    )

    asked = service.command("status", "--json")

    assert asked.returncode == HEALTHY, asked
    snapshot = json.loads(asked.stdout)
    assert (snapshot["version"], snapshot["group"], snapshot["problems"]) == (VERSION, scene.group, [])
    owned = partition(snapshot, 5)
    numbers = {name: owned[name] for name in ("committed", "watermark", "end", "lag", "in_flight")}
    assert numbers == {"committed": 3, "watermark": 3, "end": 4, "lag": 1, "in_flight": 1}
    tasks = [task for slot in snapshot["slots"] for task in slot["child"]["tasks"]]
    assert [(task["partition"], task["offset"], task["key"], task["attempt"]) for task in tasks] == [(5, 3, key, 1)]
    assert tasks[0]["seconds"] > 0
    assert f"{scene.topic}[5] offset 3" in service.command("status").stdout


def test_the_lag_behind_a_first_task_that_never_ends_is_seen(scene: Scene) -> None:
    key = keys_of_partitions(PARTITIONS, 1)[5][0]
    scene.send([message("runs", key, trouble="hang"), *(message(f"waits-{number}", key, number) for number in range(1, 10))])
    service = scene.ready_service()

    eventually(lambda: partition(service.status(), 5)["in_flight"] == 10, SECONDS, "its report says so")

    assert partition(service.status(), 5)["lag"] == 10


def partition(snapshot: Dict[str, Any], number: int) -> Dict[str, Any]:
    """The report of a partition, whoever has it."""
    owned = [each for slot in snapshot["slots"] for each in slot["child"]["partitions"]]
    return next(each for each in owned if each["partition"] == number)


def test_status_is_degraded_while_a_process_does_not_answer(scene: Scene) -> None:
    service = scene.ready_service()
    stopped = service.children()[1]

    os.kill(stopped, signal.SIGSTOP)
    eventually(lambda: service.status()["problems"], SECONDS, "somebody notices")
    asked = service.command("status")
    os.kill(stopped, signal.SIGCONT)
    eventually(lambda: not service.status()["problems"], SECONDS, "the process answers again")

    assert asked.returncode == DEGRADED
    assert asked.stdout.startswith("DEGRADED")
    assert "problem: slot 1: no heartbeat for" in asked.stdout
    assert service.command("status").returncode == HEALTHY
    assert "kafka_worker_healthy 1.0" in service.command("metrics").stdout.splitlines()
    assert service.children()[1] == stopped


def test_status_is_degraded_while_no_broker_answers(scene: Scene, service: Any) -> None:
    nowhere = f"127.0.0.1:{free_ports('127.0.0.1', 1)[0]}"
    alone = service(scene.topic, scene.group, nowhere).start()
    eventually(lambda: any("no broker" in each for each in problems(alone)), SECONDS, "somebody notices")

    asked = alone.command("status")

    assert asked.returncode == DEGRADED
    assert "no broker answers" in asked.stdout
    alone.terminate()
    assert alone.wait(SECONDS) == 0


def problems(service: Service) -> Any:
    """Of a supervisor that may not have come to its control socket yet."""
    return service.status()["problems"] if service.slots() else []


def test_status_of_what_does_not_run_says_so(scene: Scene) -> None:
    service = scene.ready_service()
    service.terminate()
    assert service.wait(SECONDS) == 0

    asked = service.command("status")

    assert asked.returncode == NOT_RUNNING
    assert asked.stderr.startswith("Not running: ")
    assert asked.stdout == ""
