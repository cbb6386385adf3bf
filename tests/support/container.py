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
from tests.support.pod import NAME, RUNTIME, SECONDS, STATE, Pod

SCRIPT = Path(__file__).with_name("container.sh")
USER = 10001
NAMESPACES = ["--pid", "--mount", "--uts", "--ipc", "--fork", "--kill-child"]


class Container(Pod):
    """A service in a container made by hand."""

    def __init__(self, bootstrap: str, topic: str, group: str, volumes: Path, **options: Any) -> None:
        """`volumes`: as a `Pod` has them."""
        if os.geteuid() != 0:
            raise RuntimeError("a container made by hand needs root: run the tests as root")
        base = Path(sys.base_prefix)
        told: Dict[str, object] = {
            "NAME": NAME,
            "PYTHON": base,
            "LIBRARIES": Path(confluent_kafka.__file__).parents[1],
            "CODE": ROOT,
            "RUNTIME": volumes / RUNTIME,
            "STATE": volumes / STATE,
        }
        program = Path("/opt/python") / Path(sys.executable).resolve().relative_to(base.resolve())
        super().__init__(
            bootstrap, topic, group, volumes, USER,
            prefix=["env", *(f"{name}={value}" for name, value in told.items()), "unshare", *NAMESPACES, "sh", str(SCRIPT)],
            program=[str(program), "/opt/code/supervisor.py"],
            **options,
        )  # fmt: skip

    @property
    def init(self) -> int:
        """PID 1 as the machine knows it."""
        children = Path(f"/proc/{self.outer}/task/{self.outer}/children")
        eventually(lambda: children.read_text().split(), SECONDS, "PID 1 is there")
        return int(children.read_text().split()[0])

    def signal(self, number: int) -> None:
        """To PID 1, from outside, as the engine does: if it has no handler for it, nothing happens."""
        os.kill(self.init, number)

    def _kill(self) -> None:
        os.kill(self.init, signal.SIGKILL)
