"""What is in the image, and the service from it."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Iterator, Set

import pytest

from tests.support.eventually import eventually
from tests.support.image import BUILD_SECONDS, IMAGE, LOCKED_UP, USER, FromImage, engine, inspected
from tests.support.kafka_jars import ROOT
from tests.support.messages import message, messages
from tests.support.oracle import Oracle
from tests.support.pod import SECONDS
from tests.support.ports import free_ports

if TYPE_CHECKING:
    from tests.support.admin import Admin

pytestmark = pytest.mark.timeout(BUILD_SECONDS)

PARTITIONS = 4
OURS = "kafka-worker-of-a-user"
FOUND = """
import importlib.metadata, importlib.util, json, kafka_worker, os, pathlib, sys

def stale(path):
    made = pathlib.Path(importlib.util.cache_from_source(path))
    head = made.read_bytes()[:16] if made.exists() else b""
    return head[4:] != (3).to_bytes(4, "little") + importlib.util.source_hash(path.read_bytes())

everything = [
    (folder, name, os.lstat(os.path.join(folder, name)))
    for folder, folders, files in os.walk("/")
    if folder.split("/")[1] not in ("proc", "sys", "dev")
    for name in folders + files
]
package, standard = pathlib.Path(kafka_worker.__file__).parent, pathlib.Path(os.__file__).parent
print(json.dumps({
    "libraries": sorted(each.metadata["Name"].lower().replace("_", "-") for each in importlib.metadata.distributions()),
    "stale": [str(path) for path in (*package.rglob("*.py"), *standard.glob("*.py")) if stale(path)],
    "anybody's": [os.path.join(folder, name) for folder, name, at in everything if at.st_mode & 0o120002 == 0o000002],
    "not root's": [os.path.join(folder, name) for folder, name, at in everything if folder.startswith("/opt") and at.st_uid],
    "left": [
        os.path.join(folder, name) for folder, name, at in everything
        if name in (".cache", ".env", "tests", ".git") and folder.split("/")[1] in ("app", "build", "opt", "root", "tmp")
        and "site-packages" not in folder
    ],
}))
"""


@pytest.fixture
def volumes() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pod-") as folder:  # short: a Unix socket's path has 107 bytes
        yield Path(folder)


@pytest.fixture(scope="module")
def of_a_user(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image as docs/DEPLOYMENT.md has it, with the handler of the tests."""
    context = tmp_path_factory.mktemp("context")
    words = re.findall(r"```dockerfile\n(.*?)```", (ROOT / "docs" / "DEPLOYMENT.md").read_text(), re.DOTALL)[0]
    (context / "Dockerfile").write_text(words)
    (context / "tasks.py").write_text("from tests.support.handlers import work as process_message\n")
    built = engine("build", "--tag", OURS, str(context))
    assert built.returncode == 0, built.stderr
    return OURS


@pytest.fixture
def service(of_a_user: str, admin: Admin, topic: Callable[..., str], group: str, volumes: Path) -> Iterator[FromImage]:
    """Of two processes of two threads, with probes. Not started."""
    probes = {"HTTP": f"127.0.0.1:{free_ports('127.0.0.1', 1)[0]}"}
    made = FromImage(
        of_a_user, admin.bootstrap, topic(PARTITIONS), group, volumes, threads=2, handler="tasks:process_message", env=probes
    )
    yield made
    made.close()


def libraries(pattern: str) -> Set[str]:
    """Those that files of requirements name."""
    text = "\n".join(path.read_text() for path in ROOT.glob(pattern))
    return {name.lower() for name in re.findall(r"^([\w-]+)(?=[\[>=<;])", text, re.MULTILINE)}


def test_it_says_of_itself_what_the_dockerfile_does() -> None:
    found = inspected()

    assert (found["User"], found["WorkingDir"], found["StopSignal"]) == ("10001:10001", "/app", "SIGTERM")
    assert found["Entrypoint"] == ["kafka-worker"]
    assert found["Healthcheck"]["Test"][0] == "CMD"
    assert list(found["ExposedPorts"]) == ["8080/tcp"]
    assert not found.get("Cmd")


def test_there_is_nothing_in_it_but_what_runs_and_all_of_that_is_compiled() -> None:
    told = engine(
        "run", "--rm", "--interactive", "--network", "none", "--user", "0", "--entrypoint", "python", IMAGE, "-", given=FOUND
    )
    found = json.loads(told.stdout)
    wanted = libraries("requirements.txt") | libraries("requirements-http.txt")
    others = libraries("requirements-*.txt") - wanted

    assert others & set(found["libraries"]) == set()
    assert {*wanted, "kafka-worker"} - {"tomli"} <= set(found["libraries"])
    assert (found["stale"], found["not root's"], found["left"]) == ([], [], [])
    assert {"/run/kafka-worker", "/var/lib/kafka-worker"} <= set(found["anybody's"])
    assert set(found["anybody's"]) <= {"/run/kafka-worker", "/var/lib/kafka-worker", "/run/lock", "/tmp", "/var/tmp"}


def test_without_settings_it_says_which_are_missing_and_a_volume_in_memory_can_be_written_to() -> None:
    alone = [
        "run",
        "--rm",
        "--network",
        "none",
        *LOCKED_UP,
        "--tmpfs",
        "/run/kafka-worker",
        "--tmpfs",
        "/var/lib/kafka-worker",
    ]

    told = engine(*alone, IMAGE)
    written = engine(*alone, "--entrypoint", "touch", IMAGE, "/run/kafka-worker/a", "/var/lib/kafka-worker/b")

    assert (told.returncode, "KAFKA_BOOTSTRAP_SERVERS" in told.stderr, "Traceback" in told.stderr) == (78, True, False), told
    assert written.returncode == 0, written.stderr


def test_the_service_works_as_pid_1_goes_on_after_all_of_it_was_killed_and_stops_in_order(
    service: FromImage, admin: Admin
) -> None:
    sent = [message("hangs", "its own", trouble="hang", times=1), *messages(60, keys=20)]
    oracle = Oracle(service.ledger, sent)
    service.start().wait_ready(partitions=PARTITIONS)
    admin.produce(service.topic, [each.row for each in sent])
    eventually(lambda: oracle.missing() == ["hangs"], SECONDS, "all but one are done")

    owners = {Path(f"/proc/{pid}").stat().st_uid for pid in service.pids()} - {0}  # the engine's own is root's
    health = inspected()["Healthcheck"]["Test"][1:]
    eventually(lambda: service.inside(*health).returncode == 0, SECONDS, "it is healthy")
    status, letters = service.inside("kafka-worker", "status"), service.inside("kafka-worker", "dead-letters", "list")
    assert owners == {USER}
    assert "hangs" not in service.log
    assert (status.returncode in (0, 1), "PID" in status.stdout) == (True, True), status
    assert letters.returncode in (0, 1), letters

    service.kill_all_at_once()
    service.start().wait_ready(timeout=15, partitions=PARTITIONS)  # the session of its members would be a minute
    oracle.wait_done(SECONDS, "what hung is done, too")
    assert oracle.started_twice() == ["hangs"]

    service.terminate()
    assert service.wait(SECONDS) == 0
    assert admin.group_state(service.group) == "EMPTY"
