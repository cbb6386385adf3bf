"""What handlers do that we did not have in mind: it is their messages that fail, and nothing else."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, List, Set

import pytest

from tests.support.eventually import eventually
from tests.support.messages import Sent, message, messages
from tests.support.scene import SECONDS, Scene

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.service import Service

pytestmark = pytest.mark.processes

ODD = "tests.support.handlers:odd"
QUICKLY = {"MAX_ATTEMPTS": "2", "RETRY_BACKOFF_SECONDS": "0.1", "BREAKER_FAILURE_SHARE": "0", "DEAD_LETTER_STORM_SHARE": "0"}


def processes_of(service: Service) -> int:
    """Of handlers: the children, and their task processes and copies."""
    return len(service.pids()) - 1


def ids(scene: Scene, topic: str) -> List[str]:
    """Of the messages in a topic."""
    return [json.loads(record.value or b"")["id"] for record in scene.admin.records(topic)]


def ended(scene: Scene) -> Set[str]:
    """What came to its end so far."""
    return set(scene.ledger.done())


@pytest.mark.parametrize("isolation", ["none", "process"])
def test_odd_results_and_copies_cost_their_own_message_at_most(scene: Scene, isolation: str) -> None:
    """Enums of text are as good as text; a header at which the client would crash is a failed attempt; a copy that comes back
    says nothing, so that what fails after it fails, and what is done is done."""
    out = scene.admin.create_topic(scene.topic + ".out", partitions=1)
    scene.admin.create_topic(scene.topic + ".dlq", partitions=1)
    service = scene.ready_service(handler=ODD, env={"ISOLATION": isolation, **QUICKLY}, processes=1, threads=2)
    before, children = processes_of(service), service.children()
    enums = [message(f"enum-{number}", f"e{number}", to=out) for number in range(4)]
    crash = [message("crash", "crash", to=out, header="\ud800")]
    forks = [message(f"fork-{number}", f"f{number % 3}", number // 3, forks=True) for number in range(12)]
    bad = [message(f"bad-{number}", f"b{number % 3}", number // 3, trouble="raise") for number in range(12)]
    mixed: List[Sent] = [each for pair in zip(forks, bad) for each in pair]

    scene.send([*messages(60, seed=1), *enums, *crash, *mixed, *messages(60, seed=2)])
    eventually(lambda: scene.admin.lag(scene.group, scene.topic) == 0, SECONDS, "everything is committed")

    assert sorted(ids(scene, scene.topic + ".dlq")) == sorted(["crash", *(each.id for each in bad)])
    assert sorted(ids(scene, out)) == sorted(each.id for each in enums)
    assert set(scene.oracle.missing()) == {each.id for each in bad}
    assert set(scene.oracle.run_twice()) == {"crash"}  # its two attempts
    assert service.children() == children
    assert processes_of(service) <= before + 1  # the second thread's task process
    assert [slot["restarts"] for slot in service.slots()] == [0]


def test_suspects_with_enums_of_text_are_done_apart_and_none_is_a_dead_letter(scene: Scene) -> None:
    out = scene.admin.create_topic(scene.topic + ".out", partitions=1)
    scene.admin.create_topic(scene.topic + ".dlq", partitions=1)
    service = scene.ready_service(handler=ODD, env=QUICKLY, processes=1, threads=4)
    suspects = [message(f"enum-{number}", f"e{number}", to=out, sleep_ms=1500) for number in range(4)]
    scene.send(suspects)
    for each in suspects:
        scene.wait_running(each.id)
    (child,) = service.children().values()
    os.kill(child, signal.SIGKILL)
    eventually(lambda: scene.admin.lag(scene.group, scene.topic) == 0, SECONDS, "everything is committed")

    assert sorted(ids(scene, out)) == sorted(each.id for each in suspects)
    assert ids(scene, scene.topic + ".dlq") == []
    assert "run apart" in service.log


MAY_BREAK = """
from pathlib import Path
from tests.support.handlers import work
if Path(__file__).with_name("broken").exists():
    raise ConnectionError("nobody gives this module what it needs")
"""


def test_one_process_that_can_not_import_the_handler_any_more_is_tried_again_and_the_others_work_on(
    scene: Scene, tmp_path: Path
) -> None:
    (tmp_path / "may_break.py").write_text(MAY_BREAK)
    service = scene.ready_service(handler="may_break:work", env={"PYTHONPATH": str(tmp_path)})
    (tmp_path / "broken").touch()
    os.kill(service.children()[0], signal.SIGKILL)
    told = "HANDLER=may_break:work cannot be imported: ConnectionError"
    eventually(lambda: told in service.log, SECONDS, "it was tried, in vain")
    scene.send(messages(20))
    eventually(lambda: ended(scene), SECONDS, "the others work on")

    (tmp_path / "broken").unlink()
    scene.wait_done()

    assert service.returncode is None
