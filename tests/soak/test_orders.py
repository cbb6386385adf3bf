"""Park works on what runs, whoever runs it: threads that obey, task processes, coroutines, batches; also with transactions."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Tuple

import pytest

from kafka_worker.shared.ipc import control
from tests.support.eventually import eventually
from tests.support.messages import keys_of, message
from tests.support.scene import PARTITIONS, SECONDS, Scene

A, B = keys_of(0, PARTITIONS, 2)
LONG_MS = 8000

KINDS = [
    ("cooperative", {}),
    ("cooperative", {"ISOLATION": "process"}),
    ("work", {"ISOLATION": "process"}),
    ("work", {"DELIVERY": "exactly-once"}),
    ("coroutine", {}),
    ("batch", {"BATCH_SIZE": "4"}),
]


@pytest.mark.parametrize(("handler", "env"), KINDS)
def test_what_runs_is_parked_its_key_goes_on_beside_it_and_its_outcome_is_void(
    scene: Scene, handler: str, env: Dict[str, str]
) -> None:
    letters = scene.admin.create_topic(scene.topic + ".dlq", partitions=1)
    service = scene.ready_service(processes=1, threads=3, handler=f"tests.support.handlers:{handler}", env=env)
    scene.send([message("long", A, 0, sleep_ms=LONG_MS), message("other", B, 0)])
    scene.wait_running("long")
    eventually(lambda: any(each["in_flight"] for each in service.slots()[0]["child"]["partitions"]), SECONDS, "it is known")
    scene.send([message("next", A, 1)])

    (path,) = Path(service.runtime_directory).glob("*/control")
    order = {"command": "park", "topic": scene.topic, "partition": 0, "offset": 0, "reason": "it takes too long"}
    answer = control.ask(str(path), order)
    eventually(lambda: "next" in scene.ledger.done(), SECONDS, "its key has gone on")
    ended = {entry.id for entry in scene.ledger.entries() if entry.event in ("end", "fail")}
    eventually(lambda: scene.admin.lag(scene.group, scene.topic) == 0, SECONDS, "all have their outcome")
    eventually(lambda: not scene.ledger.running(), SECONDS, "its call is over")

    assert answer["outcome"] in ("parked", ""), "or not yet, on a busy machine"
    assert ("long" in ended) == (handler == "cooperative"), "who obeys ends at once; nobody waits for the others"
    assert [entry.attempt for entry in scene.ledger.of("start") if entry.id == "long"] == [1]
    assert len(scene.admin.records(letters)) == 1

    def counted() -> Dict[Tuple[str, str], int]:
        return {(each["what"], each["kind"]): each["count"] for each in service.status()["work"] if each["what"] != "commits"}

    scene.send([message("last", B, 1)])  # when it is counted, so is all that was before
    eventually(lambda: counted().get(("tasks", "done")) == 3, SECONDS, "all is counted")
    assert counted()["tasks", "parked"] == 1
    assert not [kind for what, kind in counted() if what == "attempts_failed"]
    service.terminate()
    assert service.wait(SECONDS) == 0
    assert "it runs again" not in service.log
    assert "has run for" not in service.log, "what is parked is told as that, and not as late"
