"""The HTTP part of a service, as somebody sees it who asks it, and as somebody who kills it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
from typing import TYPE_CHECKING, Any, Dict, Iterator, Tuple

from kafka_worker.shared import http_settings
from tests.support.eventually import eventually
from tests.support.scene import SECONDS, Scene

if TYPE_CHECKING:
    from tests.support.service import Service


def get(address: str, path: str) -> Tuple[int, str]:
    """Status and text; (0, why) when nobody answers."""
    connection = http.client.HTTPConnection(*http_settings.parsed(address), timeout=SECONDS)
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as problem:
            return 0, str(problem)


def stream(address: str, path: str) -> Iterator[Any]:
    """The data of server-sent events, as they come."""
    connection = http.client.HTTPConnection(*http_settings.parsed(address), timeout=SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", path)
        for line in connection.getresponse():
            if line.startswith(b"data: "):
                yield json.loads(line[len(b"data: ") :])


def told(address: str) -> Dict[str, Any]:
    """What it says as JSON, as soon as it says something."""
    eventually(lambda: get(address, "/api/v1/snapshot")[0] == 200, SECONDS, f"{address} tells the snapshot")
    found: Dict[str, Any] = json.loads(get(address, "/api/v1/snapshot")[1])
    return found


def kill(service: Service) -> None:
    """The process that serves, and it is another one that answers."""
    victim: int = eventually(lambda: service.status()["http"]["pid"], SECONDS, "a process serves")  # 0 would be all of us
    os.kill(victim, signal.SIGKILL)

    def another_answers() -> bool:
        report = service.status()["http"]
        return report["pid"] not in (0, victim) and get(report["address"], "/livez")[0] == 200

    eventually(another_answers, SECONDS, "another process answers")


def kill_again_and_again(scene: Scene, running: Service, times: int) -> None:
    """Under load; nothing else notices."""
    before = running.children()
    with scene.load():
        for _ in range(times):
            kill(running)
            scene.wait_progress()
    scene.assert_each_ran_once()
    assert running.log.count("ended: killed by SIGKILL") == times
    status = running.status()
    assert status["http"]["restarts"] == times
    assert (running.children(), status["restarts"]) == (before, 0)
