"""The service from the image, as Kubernetes runs it: by an engine, as a user who is not the image's, with no rights and a root
that can't be written to. Needs root, and Linux, as the broker listens on this machine alone."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any, Dict

from tests.support.kafka_jars import ROOT
from tests.support.pod import NAME, RUNTIME, STATE, Pod
from tests.support.processes import MARKER

ENGINE = shlex.split(os.environ.get("ENGINE", "docker"))
IMAGE = "kafka-worker"
USER = 12345
# Or podman mounts folders in memory of its own, over ours too.
PLAIN = ["--read-only-tmpfs=false"] if Path(ENGINE[0]).name == "podman" else []
LOCKED_UP = [
    "--read-only", *PLAIN, "--tmpfs", "/tmp",
    "--user", f"{USER}:{USER}", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
]  # fmt: skip
BUILD_SECONDS = 600.0


def engine(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """What it says to that."""
    return subprocess.run([*ENGINE, *words], input=given, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS)


def inspected() -> Dict[str, Any]:
    """What the image says of itself; podman keeps the health check in another place."""
    whole = json.loads(engine("image", "inspect", IMAGE).stdout)[0]
    return {"Healthcheck": whole.get("Healthcheck"), **whole["Config"]}


class FromImage(Pod):
    """Each time it is started in a new container."""

    def __init__(self, image: str, bootstrap: str, topic: str, group: str, volumes: Path, **options: Any) -> None:
        """`volumes`: as a `Pod` has them."""
        self._id = volumes / "container"
        mounts = {
            volumes / RUNTIME: "/run/kafka-worker",
            volumes / STATE: "/var/lib/kafka-worker",
            ROOT / "tests": "/app/tests:ro",
        }
        super().__init__(
            bootstrap, topic, group, volumes, USER, program=[image],
            prefix=[
                *ENGINE, "run", "--rm", "--cidfile", str(self._id), "--network", "host", "--hostname", NAME, *LOCKED_UP,
                *(f"--volume={outside}:{inside}" for outside, inside in mounts.items()),
                *(f"--env={name}" for name in ("KAFKA_BOOTSTRAP_SERVERS", "HTTP", MARKER)),
                f"--env=KAFKA_GROUP_ID={group}", "--env=LEDGER=/var/lib/kafka-worker/ledger",
            ],
            **options,
        )  # fmt: skip

    def start(self, output: Any = None) -> FromImage:
        """A new container."""
        self._id.unlink(missing_ok=True)
        super().start(output)
        return self

    def inside(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What a command in the container says."""
        return engine("exec", self._id.read_text().strip(), *words)

    def _kill(self) -> None:
        engine("kill", self._id.read_text().strip())
