"""A stop in order: what runs is finished, what is not done runs later, the seats are given up."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from typing import TYPE_CHECKING, Any, Dict

import pytest

from tests.support.eventually import eventually
from tests.support.messages import keys_of, message
from tests.support.scene import PARTITIONS, SECONDS, Scene, revocations

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.service import Service

pytestmark = pytest.mark.processes

CUT_SECONDS = 3.0  # beyond the drain deadline, until everything has ended
QUICK_SECONDS = 3.0  # for a stop that has nothing to finish
SESSION = {"KAFKA_CONSUMER_SESSION_TIMEOUT_MS": "6000"}  # the shortest that a broker allows by default


@pytest.mark.parametrize(
    ("number", "membership"),
    [(signal.SIGTERM, "static"), (signal.SIGINT, "dynamic")],
)
def test_a_stop_under_load_runs_nothing_twice_and_leaves_the_group_at_once(scene: Scene, number: int, membership: str) -> None:
    first = scene.ready_service(flags=["--membership", membership])
    with scene.load():
        first.signal(number)
        code = first.wait(SECONDS)
        members, state = scene.admin.members(scene.group), scene.admin.group_state(scene.group)

    assert code == 0
    assert (members, state) == ([], "EMPTY")
    assert scene.oracle.missing()  # it did stop in the middle
    scene.service(flags=["--membership", membership])
    scene.assert_each_ran_once()


def long_task(scene: Scene, **payload: Any) -> str:
    """Send a task of half a minute on its way; its name."""
    scene.send([message("long", **payload)])
    return "long"


def place_of(scene: Scene, name: str) -> str:
    """As the log names it."""
    entry = next(entry for entry in scene.ledger.of("start") if entry.id == name)
    return f"{scene.topic}[{entry.partition}] offset {entry.offset}"


def test_what_was_done_in_a_drain_that_is_killed_does_not_run_again(scene: Scene) -> None:
    """All that is known of it are commits."""
    environment = {"JOURNAL": "off", "OFFSET_MAP": "off", "COMMIT_INTERVAL_SECONDS": "0.1"}
    first = scene.ready_service(processes=1, env=environment)
    places = {name: keys_of(number, PARTITIONS)[0] for number, name in enumerate(["long", "done-1", "done-2", "done-3"])}
    scene.send([message(name, key, sleep_ms=600_000 if name == "long" else 1500) for name, key in places.items()])
    eventually(lambda: len(scene.ledger.running()) == 4, SECONDS, "every thread works")

    first.terminate()
    eventually(lambda: len(scene.ledger.of("end")) == 3, SECONDS, "all but one are done")
    eventually(lambda: scene.admin.lag(scene.group, scene.topic) == 1, CUT_SECONDS, "and committed")
    for pid in first.pids():
        os.kill(pid, signal.SIGKILL)
    scene.service(processes=1, env=environment)

    scene.wait_running("long", times=2)
    assert scene.oracle.started_twice() == ["long"]


def test_the_drain_deadline_cuts_a_long_task_off_which_is_named_and_runs_again(scene: Scene) -> None:
    first = scene.ready_service(env={"DRAIN_SECONDS": "1"})
    name = long_task(scene, trouble="hang", times=1)
    scene.wait_running(name)

    first.terminate()
    code = first.wait(1 + CUT_SECONDS)

    assert code == 75
    assert re.search(re.escape(place_of(scene, name)) + r".* cut off", first.log)
    scene.service()
    scene.wait_done()
    assert scene.oracle.started_twice() == [name]


def test_whoever_was_frozen_in_the_middle_of_a_stop_ends_by_itself_when_all_wake(scene: Scene) -> None:
    """As a paused virtual machine. Killed by the supervisor, what runs would be suspects."""
    service = scene.ready_service(env={"DRAIN_SECONDS": "2"})
    name = long_task(scene, trouble="hang", times=1)
    scene.wait_running(name)
    service.terminate()
    eventually(lambda: "draining" in stages(service), SECONDS, "the processes drain")
    children = list(service.children().values())

    service.signal(signal.SIGSTOP)
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    until = time.monotonic() + 2 + CUT_SECONDS
    eventually(lambda: time.monotonic() >= until, SECONDS, "the deadlines of all are over by the clock")
    service.signal(signal.SIGCONT)
    eventually(lambda: "draining" in stages(service), SECONDS, "the supervisor is awake, and looks")
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    assert service.wait(SECONDS) == 75
    assert "SIGKILL" not in service.log
    assert re.search(re.escape(place_of(scene, name)) + r".* cut off", service.log)


def test_a_second_signal_cuts_a_long_drain_short(scene: Scene) -> None:
    first = scene.ready_service(env={"DRAIN_SECONDS": "30"})
    name = long_task(scene, trouble="hang", times=1)
    scene.wait_running(name)
    first.terminate()
    eventually(lambda: "draining" in stages(first), SECONDS, "the processes drain")

    first.terminate()
    code = first.wait(CUT_SECONDS)

    assert code == 75
    assert re.search(re.escape(place_of(scene, name)) + r".* cut off", first.log)
    scene.service()
    scene.wait_done()


def stages(service: Service) -> Dict[str, int]:
    """Stage to the slot that is in it."""
    return {slot["child"]["stage"]: slot["slot"] for slot in service.slots() if slot["child"]}


@pytest.mark.parametrize("moment", ["started process", "threads for concurrent processing", "Connected to Kafka"])
def test_a_stop_while_processes_join_is_clean_and_quick(scene: Scene, moment: str) -> None:
    scene.send([message(f"waiting-{number}", f"key-{number}") for number in range(50)])
    first = scene.service(processes=4)
    eventually(lambda: moment in first.log, SECONDS, f"the log says {moment}")

    first.terminate()
    code = first.wait(QUICK_SECONDS)

    assert code == 0
    assert "Traceback" not in first.log
    assert scene.admin.members(scene.group) == []
    scene.service()
    scene.assert_each_ran_once()


SLOW = """
import sys, time
if "--check" not in sys.argv:  # the processes, not the look at the handler beforehand
    open({mark!r}, "w").close()
    time.sleep(60)
from tests.support.handlers import work
"""


def test_a_stop_while_a_process_imports_a_slow_handler_is_clean_and_quick(scene: Scene, tmp_path: Path) -> None:
    mark = tmp_path / "imports"
    (tmp_path / "slow_handler.py").write_text(SLOW.format(mark=str(mark)))
    first = scene.service(handler="slow_handler:work", env={"PYTHONPATH": str(tmp_path)})
    eventually(mark.exists, SECONDS, "a process imports its handler")

    first.terminate()
    code = first.wait(QUICK_SECONDS)

    assert code == 0
    assert "Traceback" not in first.log


def test_a_process_that_is_told_to_go_drains_and_is_replaced_in_its_seat(scene: Scene) -> None:
    service = scene.ready_service()
    old = service.children()
    with scene.load():
        before, taken = scene.owners(), len(revocations(service.log))
        os.kill(old[0], signal.SIGTERM)
        eventually(lambda: service.children().get(0) not in (None, old[0]), SECONDS, "the slot has a new process")
        service.wait_ready(partitions=PARTITIONS)
        scene.wait_progress()
        after = scene.owners()

    assert after == before
    assert service.children()[1] == old[1]
    assert set(revocations(service.log)[taken:]) <= {old[0]}
    scene.assert_each_ran_once()


def test_a_dynamic_member_that_was_killed_is_replaced_after_its_session(scene: Scene) -> None:
    service = scene.ready_service(flags=["--membership", "dynamic"], env=SESSION)
    old = service.children()
    with scene.load():
        killed_at = time.monotonic()
        os.kill(old[0], signal.SIGKILL)
        eventually(
            lambda: all(scene.oracle.first_after(number, killed_at) for number in range(PARTITIONS)),
            6 + 10,
            "every partition has work done again",
        )

    assert service.children()[0] != old[0]
    assert service.children()[1] == old[1]
    scene.wait_done()
