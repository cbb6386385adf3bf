"""A user's project that uses up all names: packages called as our folders are, or once were, and modules called as those of
the standard library. Its handler, in the project's own `worker`, imports all its packages and says which it got.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from pathlib import Path
from typing import Any, Iterator, List, Mapping, Sequence, Set

from kafka_worker.ops.first_run.embedded_broker import EmbeddedBroker, send
from tests.support.eventually import eventually
from tests.support.kafka_jars import ROOT
from tests.support.service import Service

SECONDS = 40.0
#: All that we have, and what we had.
PACKAGES = sorted(
    {path.stem for folder in (ROOT, ROOT / "worker") for path in folder.iterdir() if path.stem.isidentifier()}
    - {"__init__", "__main__", "__pycache__", "kafka_worker"}
    | {"service", "handlers"}
)
STANDARD = ("json", "logging", "queue", "random", "selectors", "socket", "threading", "traceback", "typing")
DEADLY = "ends its process"
MESSAGES: List[Any] = [1, 2, 3, DEADLY, 4, 5]

TASKS = """
import importlib, json, logging, os, signal
from typing import Any

from kafka_worker import BatchError, Context, Reject, Retry, Send

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
for name in %r:
    module = importlib.import_module(name)
    assert os.path.dirname(os.path.dirname(module.__file__)) == HERE, module


def work(message: Any, context: Context) -> None:
    done = os.environ["DONE"]
    if message == %r and not os.path.exists(done + ".once"):
        open(done + ".once", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    with open(done, "a") as file:
        file.write(json.dumps([message, context.offset, os.getpid()]) + "\\n")
"""


def make(folder: Path, home: str = "worker") -> str:
    """Write the project, except for what is there already; its handler is in the package `home`. The handler's name. What must
    not be executed says so."""
    made = [name for name in PACKAGES if not (folder / name).exists() and not (folder / f"{name}.py").exists()]
    for name in made:
        package = folder / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
    (folder / home / "tasks.py").write_text(TASKS % (made, DEADLY))
    for name in (*STANDARD, "sitecustomize"):
        (folder / f"{name}.py").write_text('raise RuntimeError("the user\'s own %s was executed" % __file__)\n')
    return f"{home}.tasks:work"


@contextlib.contextmanager
def served(
    tmp_path: Path,
    program: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    *flags: str,
    handler: str = "worker.tasks:work",
) -> Iterator[Service]:
    """The service that `program` starts, at work for the project's handler on an embedded broker, until all is done."""
    topic, done = "tasks", tmp_path / "done"
    with contextlib.closing(EmbeddedBroker({topic: 2})) as broker:
        send(broker.address, topic, [(str(number), json.dumps(each).encode()) for number, each in enumerate(MESSAGES)])
        service = Service(
            broker.address, topic, f"group-{uuid.uuid4().hex[:8]}", program=program, cwd=str(cwd), handler=handler,
            processes=1, handlers_of_tests=False,
            flags=["--membership", "dynamic", "--retry-backoff-seconds", "0.1", *flags],
            env={
                "DONE": str(done), "KAFKA_CONSUMER_SESSION_TIMEOUT_MS": "3000",
                "KAFKA_CONSUMER_HEARTBEAT_INTERVAL_MS": "200", **environment,
            },
        )  # fmt: skip
        with service:
            eventually(
                lambda: service.returncode is not None or set(map(str, MESSAGES)) <= _messages(done), SECONDS, "all is done"
            )
            assert service.returncode is None, service.log
            yield service
            service.terminate()
            assert service.wait(SECONDS) == 0


def _messages(done: Path) -> Set[str]:
    lines = done.read_text().splitlines() if done.exists() else []
    return {str(json.loads(line)[0]) for line in lines}
