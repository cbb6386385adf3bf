"""What a service has in a pod, whoever makes its container: PID 1 of its own, a pod's host name, two volumes that outlive the
container, and a user who is not root. Needs root."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.support.eventually import eventually
from tests.support.ledger import Ledger
from tests.support.service import Service

NAME = "kafka-worker-7d9c5b8c6d-x2x4z"
RUNTIME, STATE = "runtime", "state"
SECONDS = 60.0


class Pod(Service):
    """A service in a container. What is in `volumes` is there again when it is started again."""

    def __init__(self, bootstrap: str, topic: str, group: str, volumes: Path, user: int, **options: Any) -> None:
        """`volumes`: a folder of the test's, for what a pod would have as emptyDir, in which they are made."""
        for volume in (volumes / RUNTIME, volumes / STATE):  # as the kubelet leaves them
            volume.mkdir()
            os.chown(volume, 0, user)
            volume.chmod(0o2777)
        ledger = Ledger(str(volumes / STATE / "ledger"))
        Path(ledger.path).touch()
        os.chown(ledger.path, user, user)
        super().__init__(
            bootstrap, topic, group,
            handlers_of_tests=False, ledger=ledger, runtime_directory=str(volumes / RUNTIME), **options,
        )  # fmt: skip

    @property
    def pid(self) -> int:
        """As the service itself knows it."""
        return 1

    @property
    def outer(self) -> int:
        """The process that was started, as the machine knows it: that of whoever made the container."""
        return super().pid

    def kill_all_at_once(self) -> None:
        """As the kernel does it to a container whose group has no memory left (`memory.oom.group`)."""
        self._kill()
        self.wait(SECONDS)
        eventually(lambda: not self.pids(), SECONDS, "all of its processes are gone")

    def _kill(self) -> None:
        """PID 1, from outside."""
        raise NotImplementedError
