"""Operators pause and park with the real command: nothing starts that should not, and every message is accounted for."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from kafka_worker.shared.ipc import control
from tests.support.eventually import eventually
from tests.support.messages import keys_of, message
from tests.support.scene import PARTITIONS, SECONDS, Scene

pytestmark = pytest.mark.processes

A, B, C, D, E = keys_of(0, PARTITIONS, 5)
OTHERS = [keys_of(number, PARTITIONS)[0] for number in range(1, PARTITIONS)]


class Desk:
    """Where the operator sits: one process of three threads."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.dlq = scene.admin.create_topic(scene.topic + ".dlq", partitions=1)
        self.service = scene.ready_service(processes=1, threads=3)

    def does(self, *words: str) -> str:
        done = self.service.command(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def orders(self, command: str, offset: Optional[int] = None, **more: Any) -> Dict[str, Any]:
        """The same without a command, which takes a second on a busy machine."""
        (path,) = Path(self.service.runtime_directory).glob("*/control")
        place = {"topic": self.scene.topic, "partition": 0, "offset": offset}
        return control.ask(str(path), {"command": command, **place, "reason": f"number {offset}", **more})

    def letters(self) -> Dict[int, List[str]]:
        """The errors of the letters of each offset."""
        found: Dict[int, List[str]] = {}
        for record in self.scene.admin.records(self.dlq):
            headers = {name: value for name, value in record.headers or [] if isinstance(value, bytes)}
            if "dead-letter.offset" in headers:
                error, offset = headers["dead-letter.error"].decode(), int(headers["dead-letter.offset"])
                found.setdefault(offset, []).append(error)
        return found

    def started(self) -> List[str]:
        return [entry.id for entry in self.scene.ledger.of("start")]

    def partitions(self) -> List[Dict[str, Any]]:
        return [each for slot in self.service.slots() if slot["child"] for each in slot["child"]["partitions"]]

    def wait_committed(self) -> None:
        eventually(lambda: self.scene.admin.lag(self.scene.group, self.scene.topic) == 0, SECONDS, "all have their outcome")


def test_what_is_parked_or_paused_is_so_wherever_it_is_and_every_message_is_accounted_for(
    scene: Scene, tmp_path: Path
) -> None:
    desk, gate = Desk(scene), tmp_path / "gate"
    gate.touch()
    _park_all(desk, {"trouble": "stay", "while": str(gate)})
    gate.unlink()
    desk.wait_committed()
    assert set(scene.ledger.done()) == {"running", "next", "after", "busy", "busy-too"}
    assert desk.orders("park", 0) == {"error": f"{scene.topic}/0/0 is done already"}

    _pause(desk)
    desk.does("resume", f"{scene.topic}/0")
    desk.wait_committed()
    letters = desk.letters()
    assert sorted(letters) == [0, 1, 3, 7, 8]
    assert "named" not in desk.started()

    desk.does("dead-letters", "replay", "--all")
    scene.wait_done()
    desk.wait_committed()
    assert desk.letters() == letters
    runs = {name: desk.started().count(name) for name in {sent.id for sent in scene.sent}}
    assert {name: count for name, count in runs.items() if count != 1} == {"running": 2, "waiting": 2}


def _park_all(desk: Desk, stays: Dict[str, str]) -> None:
    """One that runs, one behind its key, one that waits for its next attempt, one that is queued for a thread."""
    scene, host = desk.scene, desk.service.status()["host"]
    scene.send([
        message("running", A, 0, **stays), message("behind", A, 1), message("next", A, 2),
        message("waiting", B, 0, trouble="far", times=1), message("after", B, 1),
        message("busy", C, 0, **stays), message("busy-too", D, 0, **stays), message("queued", E, 0),
    ])  # fmt: skip
    for name in ("busy", "busy-too"):
        scene.wait_running(name)
    eventually(lambda: scene.ledger.of("fail"), SECONDS, "one waits for its next attempt")
    eventually(lambda: any(each["in_flight"] == 8 for each in desk.partitions()), SECONDS, "the snapshot knows them all")

    with ThreadPoolExecutor() as operators:
        answers = list(operators.map(lambda offset: desk.orders("park", offset), (1, 7, 3)))
    said = desk.does("park", f"{scene.topic}/0/0", "--reason", "number 0")
    eventually(lambda: sorted(desk.letters()) == [0, 1, 3, 7], SECONDS, "their letters are stored")
    letters = desk.letters()
    running = {(task["partition"], task["offset"]) for slot in desk.service.slots() for task in slot["child"]["tasks"]}

    assert {answer["outcome"] for answer in answers} <= {"parked", ""}, "or not yet, on a busy machine"
    assert re.search("is parked: it is a dead letter now|is kept by name", said)
    for offset, (error,) in letters.items():
        assert error.startswith("ParkedError: parked by ")
        assert error.endswith(f"@{host}: number {offset}")
    assert (0, 0) in running, "its call goes on in vain"


def _pause(desk: Desk) -> None:
    """One partition over a roll and a restart, and all for two seconds."""
    scene, service = desk.scene, desk.service
    done = len(scene.ledger.done())
    desk.does("pause", f"{scene.topic}/0", "--reason", "the bank is away")
    eventually(lambda: [each["partition"] for each in desk.partitions() if each["pause"]] == [0], SECONDS, "it is paused")
    scene.send([message("named", A, 3), message("late", B, 2), *(message(f"other-{key}", key) for key in OTHERS)])
    eventually(lambda: len(scene.ledger.done()) == done + len(OTHERS), SECONDS, "the others go on")
    with ThreadPoolExecutor() as operators:
        parked = [operators.submit(desk.orders, "park", offset) for offset in (8, 9)]
        began = time.monotonic()
        desk.orders("pause", topic="", partition=None, seconds=2)
        eventually(lambda: all(each["pause"] for each in desk.partitions()), SECONDS, "all are paused")
        scene.send([message(f"again-{key}", key, 1) for key in OTHERS])
        service.roll(SECONDS)
        assert [each.result() for each in parked] == [{"outcome": "", "former": [], "problem": ""}] * 2
    eventually(lambda: len(scene.ledger.done()) == done + 2 * len(OTHERS), SECONDS, "the pause of all is over")
    service.terminate()
    assert service.wait(SECONDS) == 0
    service.start().wait_ready(partitions=PARTITIONS)

    listed = json.loads(desk.does("pauses", "--json"))
    assert sorted((order["partition"], order["offset"] or 0) for order in listed) == [(0, 0), (0, 8), (0, 9)]
    taken_back = desk.orders("resume", 9)
    eventually(lambda: any(each["head"] for each in desk.partitions()), SECONDS, "it is known how far it is behind")
    (waiting,) = (each for each in desk.partitions() if each["head"])
    assert (waiting["lag"], waiting["head"]["offset"], waiting["head"]["waits"]) == (2, 8, "operator")
    (former,) = taken_back.pop("former")
    assert former["reason"] == "number 9"
    assert taken_back == {
        "ended": [f"{scene.topic}/0/9"], "still": [f"{scene.topic}/0"], "named": [], "silent": [], "problem": "",
    }  # fmt: skip
    assert service.status()["problems"] == []
    assert min(entry.at for entry in scene.ledger.of("start") if entry.id.startswith("again-")) >= began + 2.0
    assert not {"named", "late"} & set(desk.started())
