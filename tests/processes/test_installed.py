"""`pip install`: the wheel is the same service as the checkout, on the oldest and the newest Python of this machine."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support import users_project
from tests.support.installed import Installed, run
from tests.support.kafka_jars import ROOT
from tests.support.other_pythons import interpreters

# A user's handlers, and what type checkers have to say of them.
TYPED = """
from typing import Any, List

from kafka_worker import BatchError, Context, Reject, Retry, Send


def one(message: Any, context: Context) -> Send:
    if context.attempt > 3:
        raise Reject("no")
    if message is None:
        raise Retry("later", after=2.5)
    with context.dependency("database"):
        return Send("topic", {"a": 1}, key=context.key)


def many(messages: List[Any], contexts: List[Context]) -> None:
    raise BatchError({0: "bad"})
"""
LIGHT = """
import sys, kafka_worker
assert {name for name in sys.modules if name.startswith("kafka_worker.")} == set()
from kafka_worker import BatchError, Context, Reject, Retry, Send
heavy = {"confluent_kafka", "pydantic", "pydantic_settings", "dotenv", "psutil", "prometheus_client", "asyncio"}
assert heavy & set(sys.modules) == set(), heavy & set(sys.modules)
assert Send("topic", {"a": 1}).value == b'{"a":1}'
"""


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    found = interpreters()
    return Installed(found[min(found)], tmp_path_factory.mktemp("oldest"))


@pytest.fixture(scope="module", params=["oldest", "newest"])
def installed(request: pytest.FixtureRequest, oldest: Installed, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel that the oldest has built."""
    if request.param == "oldest":
        return oldest
    found = interpreters()
    return Installed(found[max(found)], tmp_path_factory.mktemp("newest"), oldest.wheel)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    users_project.make(folder)
    return folder


def test_the_wheel_has_every_module_the_page_and_the_mark_that_it_is_typed(installed: Installed) -> None:
    ours = {
        f"kafka_worker/{path.relative_to(ROOT / 'worker')}"
        for path in (ROOT / "worker").rglob("*")
        if path.suffix == ".py" or path.name == "py.typed" or (path.parent.name == "static" and path.is_file())
    }

    packed = {name for name in zipfile.ZipFile(installed.wheel).namelist() if ".dist-info/" not in name}

    assert packed == ours


def test_the_installed_command_says_what_that_of_the_checkout_says_but_by_its_own_name(
    installed: Installed, tmp_path: Path
) -> None:
    for words in (["--help"], ["dead-letters", "--help"], ["--version"]):
        checkout = run(installed.python, str(ROOT / "supervisor.py"), *words, cwd=tmp_path)
        command = run(installed.command, *words, cwd=tmp_path)
        module = run(installed.python, "-m", "kafka_worker", *words, cwd=tmp_path)

        assert "kafka-worker" not in checkout
        assert command == module == checkout.replace("supervisor.py", "kafka-worker")


def test_the_installed_service_serves_a_handler_of_site_packages(installed: Installed, tmp_path: Path, project: Path) -> None:
    link = installed.site_packages / "users_project.pth"
    link.write_text(f"{project}\n")
    try:
        with users_project.served(tmp_path, [installed.command], tmp_path, {}) as service:
            assert service.command("metrics").stdout.startswith("# HELP")
            assert "tasks.dlq: none." in service.command("dead-letters", "list").stderr
    finally:
        link.unlink()


def test_the_installed_service_minds_no_name_beside_the_handler(installed: Installed, tmp_path: Path, project: Path) -> None:
    program = [installed.python, "-m", "kafka_worker"]

    with users_project.served(tmp_path, program, project, {}, "--isolation", "process"):
        pass


def test_the_installed_demo_runs(installed: Installed, tmp_path: Path) -> None:
    assert "exit 0 (ok)" in run(installed.python, "-m", "kafka_worker.ops.first_run", cwd=tmp_path)


def test_what_handlers_may_use_is_light(installed: Installed, tmp_path: Path) -> None:
    run(installed.python, "-c", LIGHT, cwd=tmp_path)


def test_what_handlers_may_use_is_typed(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TYPED)
    (tmp_path / "wrong.py").write_text(TYPED + "\nfrom kafka_worker import Nonsense\nRetry(after='soon')\n")
    checked = {
        name: subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"),
             "--python-executable", installed.python, name],
            cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=False,
        ).stdout
        for name in ("tasks.py", "wrong.py")
    }  # fmt: skip

    assert checked["tasks.py"] == "Success: no issues found in 1 source file\n"
    assert 'has no attribute "Nonsense"' in checked["wrong.py"]
    assert 'Argument "after" to "Retry" has incompatible type' in checked["wrong.py"]
