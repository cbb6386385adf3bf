"""SIGHUP: new processes in the old seats, one after the other, with no more than a moment's pause."""

from __future__ import annotations

import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, List, Set

import pytest

from tests.support.eventually import eventually
from tests.support.messages import messages
from tests.support.scene import PARTITIONS, SECONDS, Scene, revocations

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.service import Service

pytestmark = pytest.mark.processes

SILENCE_SECONDS = 0.4


def owned(service: Service) -> int:
    """How many partitions its processes have, by their own word."""
    return sum(map(len, service.partitions().values()))


def done(service: Service) -> int:
    """Tasks, as the metrics have it."""
    return int(sum(each["count"] for each in service.status()["work"] if (each["what"], each["kind"]) == ("tasks", "done")))


@pytest.mark.alone
def test_a_rolling_restart_disturbs_nobody_and_runs_nothing_twice(scene: Scene) -> None:
    witness = scene.service("other", threads=2)
    service = scene.service(threads=2)
    for each in (witness, service):
        each.wait_ready()
    eventually(lambda: len(set(scene.owners().values())) == 4, SECONDS, "each of the four has partitions")
    # The broker knows that before they do: what they say of it would come later.
    eventually(lambda: owned(witness) + owned(service) == PARTITIONS, SECONDS, "they know it too")
    old, owners = service.children(), scene.owners()
    before = (len(witness.log.splitlines()), Counter(revocations(service.log)))
    with scene.load():
        began = time.monotonic()
        service.roll(SECONDS)
        ended = time.monotonic()
        scene.wait_progress()
        after = scene.owners()

    assert sorted(service.children()) == sorted(old)
    assert not set(service.children().values()) & set(old.values())
    assert after == owners
    assert len(witness.log.splitlines()) == before[0]
    # Each of the old ones gave its partitions up when it closed, and nobody else did.
    assert Counter(revocations(service.log)) - before[1] == Counter(old.values())
    silences = {number: scene.oracle.gap([number], began, ended) for number in range(PARTITIONS)}
    assert max(silences.values()) < SILENCE_SECONDS, silences
    scene.assert_each_ran_once()
    eventually(lambda: done(witness) + done(service) == len(scene.sent), SECONDS, "what those before have done stays counted")


def test_tasks_that_rolling_restarts_cut_off_are_not_suspected_of_anything(scene: Scene) -> None:
    """Fourteen processes end by their own will, each with tasks in all of its threads."""
    service = scene.ready_service(env={"DRAIN_SECONDS": "0"})
    scene.send(messages(200, keys=100, sleep_ms=lambda _chance: FOR_EVER_MS))
    for _ in range(7):
        before = set(service.children().values())
        eventually(lambda: working(scene) >= before, SECONDS, "every process works")  # noqa: B023 (called here only)
        service.roll(SECONDS)

    assert service.log.count("cut off by the drain deadline") >= 2 * 7 * 4
    assert "Running when this slot's process died" not in service.log


def working(scene: Scene) -> Set[int]:
    """The processes in which all four threads have begun a task."""
    begun = Counter(entry.pid for entry in scene.ledger.of("start"))
    return {pid for pid, count in begun.items() if count >= 4}


FOR_EVER_MS = 600_000
HANDLER = "from tests.support.handlers import work\n"


SLOW = """
import sys, time
from pathlib import Path
from tests.support.handlers import work
while "--check" not in sys.argv and not Path(__file__).with_name("go").exists():
    time.sleep(0.01)
"""


def test_a_hangup_while_it_starts_is_heard_when_it_has_started(scene: Scene, tmp_path: Path) -> None:
    """What is old by then may have been imported before it."""
    (tmp_path / "slow_handler.py").write_text(SLOW)
    service = scene.service(handler="slow_handler:work", env={"PYTHONPATH": str(tmp_path)})
    old = eventually(lambda: set(service.children().values()), SECONDS, "they import it")
    service.signal(signal.SIGHUP)
    eventually(lambda: "SIGHUP received" in service.log, SECONDS, "it has come")
    (tmp_path / "go").touch()

    eventually(lambda: "Rolling restart: done" in service.log, SECONDS, "all have been replaced")

    assert len(service.children()) == 2
    assert not old & set(service.children().values())


def test_processes_stay_when_the_handler_became_unimportable(scene: Scene, tmp_path: Path) -> None:
    handler = tmp_path / "changing_handler.py"
    handler.write_text(HANDLER)
    service = scene.ready_service(
        handler="changing_handler:work", env={"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    )
    old = service.children()
    handler.write_text("from nowhere import work\n")
    with scene.load():
        service.signal(signal.SIGHUP)
        eventually(lambda: "Rolling restart: given up" in service.log, SECONDS, "the rolling restart is given up")
        scene.wait_progress()
        eventually(lambda: kinds(service) == ["roll"], SECONDS, "the service is well, but for that")
        (told,) = service.status()["problems"]

        assert service.children() == old
        assert "Rolling restart given up" in told and "No module named 'nowhere'" in told
        handler.write_text(HANDLER)
        service.roll(SECONDS)
    eventually(lambda: not kinds(service), SECONDS, "it is told until one is done")

    assert not set(service.children().values()) & set(old.values())
    scene.assert_each_ran_once()


def kinds(service: Service) -> List[str]:
    return [each["kind"] for each in service.status()["conditions"]]
