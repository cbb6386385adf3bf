"""This service as a side: the whole command."""

from __future__ import annotations

import contextlib
import io
import signal
import sys
from typing import Any, Callable, Dict, List

import kafka_worker
from bench import environments
from bench.sides.side import Setting
from tests.support.eventually import eventually
from tests.support.service import Service

ROLL_SECONDS = 120.0
LIBRARIES = ("confluent-kafka", "msgspec")


class RunningService:
    """`python supervisor.py`, with its processes."""

    can_roll = True

    def __init__(self, setting: Setting, ordering: str, handler: str = "bench.tasks:work") -> None:
        """It is on its way when this returns."""
        self.members = setting.processes
        env = {"ORDERING": ordering, "COROUTINES": str(setting.threads), **setting.environment(), **setting.ours}
        handler = env.pop("HANDLER", handler)
        self._service = Service(
            setting.bootstrap, setting.topic, setting.group,
            processes=setting.processes, threads=setting.threads, handler=handler, env=env,
        ).start()  # fmt: skip

    @property
    def supervisor(self) -> int:
        """Its pid."""
        return self._service.pid

    def status(self) -> Dict[str, Any]:
        """Its snapshot. Raises control.NotRunningError when nobody answers."""
        return self._service.status()

    def processes(self) -> List[int]:
        return self._service.pids()

    def workers(self) -> List[int]:
        return list(self._service.children().values())

    def roll(self, complete: Callable[[], Any]) -> None:
        former = set(self.workers())
        self._service.signal(signal.SIGHUP)
        eventually(lambda: not former & set(self._service.pids()), ROLL_SECONDS, "each process is replaced")
        complete()

    def complaint(self) -> str:
        return "" if self._service.returncode is None else self._service.log[-2000:]

    def close(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # its log, meant for tests that fail
            self._service.close()


def versions() -> Dict[str, str]:
    """Of ourselves, and of what counts."""
    installed = environments.versions(sys.executable)
    named = {name: installed[name] for name in LIBRARIES if name in installed}
    return {"kafka-worker": kafka_worker.__version__, **named}
