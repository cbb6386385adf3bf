"""What handlers need is there before their first message, and given back at the end, in the threads of a process as in task
processes."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Callable, Dict

import pytest

from kafka_worker.shared.ipc import control
from tests.support.eventually import eventually
from tests.support.messages import messages
from tests.support.scene import SECONDS, Scene

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.service import Service

pytestmark = pytest.mark.processes

HANDLER = "tests.support.hook_handlers:work"


def _named(service: Service, what: str) -> bool:
    with contextlib.suppress(control.NotRunningError):
        return what in str(service.status()["problems"])
    return False


def happened(told: Path) -> Dict[str, Dict[str, int]]:
    """How often what happened in each process."""
    by_pid: Dict[str, Counter[str]] = {}
    for pid, _thread, *words in map(str.split, told.read_text().splitlines()):
        by_pid.setdefault(pid, Counter())[" ".join(words[:2])] += 1
    return {pid: dict(counts) for pid, counts in by_pid.items()}


class World:
    """What the handler of one service sees, and tells."""

    def __init__(self, folder: Path, isolation: str) -> None:
        folder.mkdir()
        self.hangs, self.refuses, self.told = folder / "hangs", folder / "refuses", folder / "told"
        self.hangs.touch()
        self.told.touch()
        paths = {"HANGS": str(self.hangs), "REFUSES": str(self.refuses), "TOLD": str(self.told)}
        self.environment = {**paths, "ISOLATION": isolation, "MAX_ATTEMPTS": "1", "HANDLER_TIMEOUT_SECONDS": "0.5"}


def test_a_database_that_hangs_and_then_refuses_is_named_and_waited_for_and_all_that_was_opened_is_closed(
    scene: Scene, tmp_path: Path, service: Callable[..., Service]
) -> None:
    """Two services, beside each other: one without and one with task processes."""
    scene.send(messages(40, keys=40))
    groups = {"none": scene.group, "process": scene.group + "-apart"}
    worlds = {isolation: World(tmp_path / isolation, isolation) for isolation in groups}
    worlds["none"].refuses.touch()
    services = {
        isolation: service(
            scene.topic, group, handler=HANDLER, processes=1, threads=2, env=worlds[isolation].environment
        ).start()
        for isolation, group in groups.items()
    }

    for isolation, each in services.items():
        eventually(partial(_named, each, "hook_handlers.database is being started"), SECONDS, "what hangs is named")
        assert "HANDLER_TIMEOUT_SECONDS" not in each.log, "what a task process waits for is no time of its message's"
        worlds[isolation].hangs.unlink()
    why = "can't be started: ConnectionRefusedError: «the database is down»"
    eventually(lambda: _named(services["none"], why), SECONDS, "why it waits")
    assert not any("works on" in world.told.read_text() for world in worlds.values() if world.refuses.exists())
    worlds["none"].refuses.unlink()
    for isolation, each in services.items():
        each.wait_ready()  # before anybody asks for offsets: of a group that never was, the client crashes
        scene.admin.wait_committed(groups[isolation], scene.topic)
    restarts = [each.status()["restarts"] for each in services.values()]
    for each in services.values():
        each.terminate()

    assert ([each.wait(SECONDS) for each in services.values()], restarts) == ([0, 0], [0, 0])
    for isolation, world in worlds.items():
        assert world.told.read_text().count("works on") == len(scene.sent)
        worked = [counts for counts in happened(world.told).values() if "database starts" in counts]
        assert worked
        for counts in worked:
            assert counts["database stops"] == counts["database starts"] == 1
            assert counts["session stops"] == counts["session starts"] == (2 if isolation == "none" else 1)
            assert counts["exit functions"] == 1


def test_what_a_process_was_at_that_ends_without_a_word_is_named_and_when_it_is_given_up(
    tmp_path: Path, service: Callable[..., Service]
) -> None:
    """With exit 0 it would be started again at once, for ever. None of them comes so far as to need its topic."""
    module = "tests.support.dying_handlers"
    deaths = ["import 3", "session 0", "database abort", "database 4"]
    (tmp_path / "deaths").write_text("\n".join(deaths))
    env, flags = {"DEATHS": str(tmp_path / "deaths")}, ["--restart-limit", str(len(deaths) - 1)]
    dying = service("topic", "group", handler=f"{module}:work", processes=1, threads=2, env=env, flags=flags).start()

    code = dying.wait(SECONDS)

    assert code == 75
    assert re.findall(r"ended: (.*); next start in [\d.]+ s \((.*)\)", dying.log) == [
        (f"exit 3, while importing HANDLER={module}:work", "restart 1 of at most 3 within 120 s"),
        (f"exit 70 (fault), while starting the hook {module}.session", "restart 2 of at most 3 within 120 s"),
        (f"killed by SIGABRT, while starting the hook {module}.database", "restart 3 of at most 3 within 120 s"),
    ]
    assert f"(last: slot 0, exit 4, while starting the hook {module}.database): giving up" in dying.log
