"""The service as a container has it: PID 1 of its own, a host name that no network knows, a user without name, home and
rights, a root that can't be written to, and two volumes that outlive it. Files, interpreter and network are the machine's.
Needs root."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any, Dict

import confluent_kafka

from tests.support.eventually import eventually
from tests.support.kafka_jars import ROOT
from tests.support.ledger import Ledger
from tests.support.service import Service

SCRIPT = Path(__file__).with_name("container.sh")
NAME = "kafka-worker-7d9c5b8c6d-x2x4z"  # as a pod's
USER = 10001
SECONDS = 60.0
NAMESPACES = ["--pid", "--mount", "--uts", "--ipc", "--fork", "--kill-child"]


class Container(Service):
    """A service in a container. What is in `volumes` is there again when it is started again."""

    def __init__(self, bootstrap: str, topic: str, group: str, volumes: Path, **options: Any) -> None:
        """`volumes`: a folder of the test's, for what a pod would have as emptyDir."""
        if os.geteuid() != 0:
            raise RuntimeError("a container made by hand needs root: run the tests as root")
        runtime, state = volumes / "runtime", volumes / "state"
        for volume in (runtime, state):  # as the kubelet leaves them
            volume.mkdir()
            os.chown(volume, 0, USER)
            volume.chmod(0o2777)
        ledger = Ledger(str(state / "ledger"))
        Path(ledger.path).touch()
        os.chown(ledger.path, USER, USER)
        base = Path(sys.base_prefix)
        told: Dict[str, object] = {
            "NAME": NAME,
            "PYTHON": base,
            "LIBRARIES": Path(confluent_kafka.__file__).parents[1],
            "CODE": ROOT,
            "RUNTIME": runtime,
            "STATE": state,
        }
        program = Path("/opt/python") / Path(sys.executable).resolve().relative_to(base.resolve())
        super().__init__(
            bootstrap, topic, group,
            handlers_of_tests=False, ledger=ledger, runtime_directory=str(runtime),
            prefix=["env", *(f"{name}={value}" for name, value in told.items()), "unshare", *NAMESPACES, "sh", str(SCRIPT)],
            program=[str(program), "/opt/code/supervisor.py"],
            **options,
        )  # fmt: skip

    @property
    def pid(self) -> int:
        """As the service itself knows it."""
        return 1

    @property
    def init(self) -> int:
        """The same process as the machine knows it."""
        outer = super().pid
        children = Path(f"/proc/{outer}/task/{outer}/children")
        eventually(lambda: children.read_text().split(), SECONDS, "PID 1 is there")
        return int(children.read_text().split()[0])

    def signal(self, number: int) -> None:
        """To PID 1, from outside, as the engine does: if it has no handler for it, nothing happens."""
        os.kill(self.init, number)

    def kill_all_at_once(self) -> None:
        """As the kernel does it to a container whose group has no memory left (`memory.oom.group`)."""
        os.kill(self.init, signal.SIGKILL)
        self.wait(SECONDS)
        eventually(lambda: not self.pids(), SECONDS, "all of its processes are gone")
