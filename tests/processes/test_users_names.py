"""A user's project may use any name: those of our folders, and those of the standard library's modules."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import users_project
from tests.support.installed import source
from tests.support.kafka_jars import ROOT

SUPERVISOR = (sys.executable, str(ROOT / "supervisor.py"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    users_project.make(folder)
    return folder


@pytest.mark.parametrize("isolation", ["none", "process"])
@pytest.mark.parametrize("place", ["working directory", "PYTHONPATH"])
def test_a_users_packages_are_the_users_and_modules_named_as_the_standard_librarys_do_no_harm(
    tmp_path: Path, project: Path, place: str, isolation: str
) -> None:
    cwd, path = (project, "") if place == "working directory" else (tmp_path, str(project))

    with users_project.served(
        tmp_path, SUPERVISOR, cwd, {"PYTHONPATH": path}, "--isolation", isolation, "--log-format", "json"
    ) as service:
        assert service.command("status").returncode in (0, 1)
        log = service.log

    # A sitecustomize on PYTHONPATH is executed by Python itself, which tells of its fault and goes on.
    assert "was executed" not in log or place == "PYTHONPATH"
    assert ("now run apart, each alone" in log) == (isolation == "none"), "what ended its process runs in the quarantine"
    assert "Traceback" not in log.replace("Error in sitecustomize", "")


def test_what_a_user_puts_beside_the_supervisor_does_no_harm_either(tmp_path: Path) -> None:
    checkout = source(tmp_path / "checkout")
    handler = users_project.make(checkout, "handlers")

    with users_project.served(
        tmp_path, (sys.executable, str(checkout / "supervisor.py")), checkout, {}, handler=handler
    ) as service:
        assert service.command("metrics").returncode == 0
        assert "was executed" not in service.log


def test_a_first_run_does_not_mind_a_users_names(tmp_path: Path, project: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(project), str(ROOT)])}

    done = subprocess.run(
        [sys.executable, "-m", "kafka_worker.ops.first_run"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


def test_what_hides_the_standard_library_all_the_same_is_named(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import logging")  # Python imports it before anything of ours
    (tmp_path / "logging.py").write_text("")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    done = subprocess.run(
        [*SUPERVISOR, "--group", "g", "--check-config"], env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 78
    assert f"{tmp_path / 'logging.py'} hides {logging_of_python()}" in done.stderr


def test_what_hides_a_module_that_the_handler_needs_is_named(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text("import colorsys\nprint(colorsys.rgb_to_hsv)\ndef work(message): pass\n")
    (tmp_path / "colorsys.py").write_text("")

    done = subprocess.run(
        [*SUPERVISOR, "--bootstrap-servers", "x:1", "--group", "g", "--handler", "tasks:work", "--check-config"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 78
    assert f"{tmp_path / 'colorsys.py'} hides " in done.stderr


def logging_of_python() -> str:
    import logging

    return str(logging.__file__)
