"""How processes begin: where on the path the user's folders stand, and what is said of those that hide others."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from kafka_worker import start

STANDARD = os.path.dirname(os.__file__)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where we are, with two folders on PYTHONPATH."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "one"), "", "two"]))
    return tmp_path


@pytest.mark.parametrize("program", [start.FOLDER, None, "elsewhere"], ids=["start.py", "-m", "a script"])
def test_our_own_imports_come_from_the_users_folders_last_and_from_that_of_the_program_never(
    project: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    users = [str(project / "one"), str(project / "two")]
    monkeypatch.setattr(sys, "path", [program or str(project), *users, STANDARD, "site"])

    start.users_last()

    assert sys.path == [*(["elsewhere"] if program == "elsewhere" else []), STANDARD, "site", *users]


def test_the_users_imports_come_from_where_he_is_then_from_pythonpath_as_everywhere_in_python(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = [str(project / "one"), str(project / "two")]
    monkeypatch.setattr(sys, "path", [STANDARD, "site", *users])

    start.users_first()

    assert sys.path == [str(project), *users, STANDARD, "site"]


def test_what_we_need_late_is_pythons_own_though_the_users_folders_come_first(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "colorsys.py").write_text("raise RuntimeError(__file__)")
    users = [str(project), STANDARD]
    monkeypatch.setattr(start, "_OURS", users[::-1])
    monkeypatch.setattr(sys, "path", users)
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)

    assert start.late("colorsys").__file__ == os.path.join(STANDARD, "colorsys.py")
    assert sys.path is users
    assert users == [str(project), STANDARD]


@pytest.mark.parametrize(
    ("started", "in_checkout", "name"),
    [
        ("supervisor.py", True, "supervisor.py"),
        ("/opt/venv/bin/kafka-worker", True, "kafka-worker"),
        ("/opt/venv/bin/kafka-worker", False, "kafka-worker"),
        ("/site-packages/kafka_worker/__main__.py", False, "kafka-worker"),
        ("/checkout/worker/__main__.py", True, "supervisor.py"),
        ("/checkout/worker/start.py", True, "supervisor.py"),
        ("/site-packages/kafka_worker/start.py", False, "kafka-worker"),
    ],
)
def test_the_command_calls_itself_as_it_was_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, started: str, *, in_checkout: bool, name: str
) -> None:
    monkeypatch.setattr(sys, "argv", [started])
    monkeypatch.setattr(start, "FOLDER", str(tmp_path / "worker"))
    if in_checkout:
        (tmp_path / "supervisor.py").touch()

    assert start.program() == name


def test_a_module_of_the_users_is_named_when_it_hides_another(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "colorsys.py").write_text("")
    (project / "of_the_user_alone.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(project), *sys.path])
    for name in ("colorsys", "of_the_user_alone"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.setitem(sys.modules, name, __import__(name))

    found = start.hidden()

    assert [text for text in found if "colorsys" in text] == [
        f"{project / 'colorsys.py'} hides {os.path.join(STANDARD, 'colorsys.py')}"
    ]
    assert not any("of_the_user_alone" in text for text in found)
