"""Messages that kill or hang whatever process runs them."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List

import pytest

from tests.support.eventually import eventually
from tests.support.load import keys_of_partitions
from tests.support.messages import Sent, message, messages
from tests.support.scene import PARTITIONS, SECONDS, Scene

if TYPE_CHECKING:
    from tests.support.admin import Record
    from tests.support.service import Service

pytestmark = pytest.mark.processes

RETURN_SECONDS = 0.05  # a task is done when its handler has returned, a moment after it wrote so into the ledger
LIMITS = {"HANDLER_TIMEOUT_SECONDS": "0.5", "HANDLER_KILL_SECONDS": "2.5", "HEARTBEAT_TIMEOUT_SECONDS": "2"}
#: Each kind of poison, and what its dead letter says of the death.
HOW = {
    "segfault": "killed by SIGSEGV",
    "overflow": "killed by SIGSEGV",
    "exit": "exit 42",
    "killed": "killed by SIGKILL",
    "hang": "killed after 2.",
    "hold_gil": "silent for 2.",
}


def poison(kind: str, partition: int) -> Sent:
    """In a key of its own."""
    (*_, key) = keys_of_partitions(PARTITIONS, 10)[partition]
    return message(kind, key, trouble=kind, hold_gil_ms=600_000)


def letters(scene: Scene) -> Dict[str, Record]:
    """The dead letters, by the names of their messages."""
    names = {each.row[1]: each.id for each in scene.sent}
    return {names[record.value]: record for record in scene.admin.records(scene.topic + ".dlq")}


def header(record: Record, name: str) -> str:
    ((_, value),) = [each for each in record.headers if each[0] == "dead-letter." + name]
    assert isinstance(value, bytes)
    return value.decode()


def done_twice(scene: Scene) -> List[str]:
    """What came to its end twice, except in the moment in which its process died."""
    ends = scene.ledger.of("end")
    last = {entry.pid: entry.at for entry in scene.ledger.entries()}
    first = {entry.id: entry for entry in reversed(ends)}
    return [name for name in scene.oracle.run_twice() if first[name].at < last[first[name].pid] - RETURN_SECONDS]


def test_each_kind_of_poison_is_the_one_dead_letter_and_its_neighbours_are_done_once(scene: Scene) -> None:
    """Those that hang first, each in another process; then those that kill, at once, in two processes and in one."""
    scene.admin.create_topic(scene.topic + ".dlq", partitions=1)
    service = scene.ready_service(env=LIMITS)
    before = service.children()
    first, second = (sorted(number for _, number in owned) for _, owned in sorted(service.partitions().items()))
    with scene.load():
        scene.send([poison("hang", first[0]), poison("hold_gil", second[0])])
        eventually(lambda: not set(before.values()) & set(service.children().values()), SECONDS, "both are replaced")
        killers = [("segfault", first[1]), ("exit", second[1]), ("killed", first[2]), ("overflow", second[2])]
        scene.send([poison(kind, partition) for kind, partition in killers])
        eventually(lambda: len(letters(scene)) == len(HOW), SECONDS, "each poison is a dead letter")
        scene.wait_progress()
        found = letters(scene)
        restarts = [slot["restarts"] for slot in service.slots()]
    eventually(lambda: set(scene.oracle.missing()) == set(HOW), SECONDS, "all the others are done")
    eventually(lambda: scene.admin.lag(scene.group, scene.topic) == 0, SECONDS, "everything is committed")

    assert {kind: header(record, "death")[: len(HOW[kind])] for kind, record in found.items()} == HOW
    assert all(int(header(record, "memory")) > 1 << 20 for record in found.values())
    assert "in _trouble" in header(found["segfault"], "stack")
    assert "in _trouble" in header(found["hang"], "stack")
    assert "in _trouble" in header(found["hold_gil"], "stack")
    assert sum(restarts) <= len(HOW)
    # Once among others and once alone; one that runs alone is cut off when its process dies of another.
    starts = Counter(entry.id for entry in scene.ledger.of("start"))
    assert all(2 <= starts[kind] <= 2 + max(restarts) for kind in HOW)
    assert service.returncode is None
    assert done_twice(scene) == []
    assert scene.oracle.order_violations_per_key() == []
    check_log(service.log, f"{scene.topic}[{first[0]}]")
    print(f"{len(HOW)} kinds of poison: restarts {restarts}")


def check_log(log: str, hanging: str) -> None:
    """It says who took too long, who was suspect, and who died."""
    told, given_up = (
        re.escape(text)
        for text in (
            "longer than HANDLER_TIMEOUT_SECONDS = 0.5: it is told that it is cancelled\n  | Stack (innermost call last):\n",
            "longer than HANDLER_KILL_SECONDS = 2.5: this process drains without it and is replaced\n  | Stack",
        )
    )
    place = re.escape(hanging) + r" offset \d+, running for %s\.\d s in handler-\d \(attempt 1\): "
    assert re.search(place % 0 + told, log)
    assert re.search(place % 2 + given_up, log)
    assert "Running when this slot's process died, and now run apart, each alone: " in log
    assert "goes to the dead letters after attempt 1: TaskDiedError" in log


def test_deaths_are_remembered_when_supervisor_host_and_all_processes_have_died_in_between(
    scene: Scene, tmp_path: Path
) -> None:
    """The poison kills its process, then hangs where it runs apart, until everything is killed; after that it kills again."""
    scene.admin.create_topic(scene.topic + ".dlq", partitions=1)
    service = scene.ready_service(env={"STATE_DIRECTORY": str(tmp_path / "state")})
    with scene.load():
        scene.send([message("poison", poison("segfault", 0).key, trouble=["segfault", "hang", "segfault"])])
        scene.wait_running("poison", times=2)
        kill_all(service)
        lose_runtime_directory(service)
        service.start().wait_ready()
        eventually(lambda: letters(scene), SECONDS, "the poison is a dead letter")
        scene.wait_progress()
    eventually(lambda: scene.oracle.missing() == ["poison"], SECONDS, "all the others are done")

    (letter,) = letters(scene).values()
    assert header(letter, "death") == "killed by SIGSEGV"
    assert "in _trouble" in header(letter, "stack")
    assert sum(entry.id == "poison" for entry in scene.ledger.of("start")) == 3
    assert [slot["restarts"] for slot in service.slots()] == [0, 0]
    assert scene.oracle.order_violations_per_key() == []


def kill_all(service: Service) -> None:
    """At once, the supervisor first, who would replace the others."""
    children = list(service.children().values())
    service.kill()
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    service.wait(SECONDS)
    eventually(lambda: not service.pids(), SECONDS, "all are gone, task processes too")


def lose_runtime_directory(service: Service) -> None:
    """As a restart of the host does, where it is in memory."""
    for path in Path(service.runtime_directory).glob("*/slot-*"):
        path.unlink()


def test_where_each_task_has_its_own_process_poison_costs_no_other_process_and_no_neighbour(scene: Scene) -> None:
    scene.admin.create_topic(scene.topic + ".dlq", partitions=1)
    service = scene.ready_service(env={"ISOLATION": "process"}, processes=1, threads=2)
    before = service.children()
    scene.send([*messages(100, keys=30), poison("segfault", 0), poison("exit", 1), *messages(100, keys=30, seed=2)])
    eventually(lambda: len(letters(scene)) == 2, SECONDS, "both are dead letters")
    eventually(lambda: set(scene.oracle.missing()) == {"segfault", "exit"}, SECONDS, "all the others are done")

    assert {kind: header(record, "death") for kind, record in letters(scene).items()} == {
        kind: HOW[kind] for kind in ("segfault", "exit")
    }
    assert service.children() == before
    assert set(scene.oracle.started_twice()) == {"segfault", "exit"}
    assert scene.oracle.run_twice() == []
