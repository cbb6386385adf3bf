"""How processes begin: where on the path the user's folders stand, and what is said of those that hide others."""

from __future__ import annotations

import os
import subprocess
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


def test_a_process_that_a_handler_spawns_has_what_handlers_may_use(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(
        "import multiprocessing\n"
        "def work():\n    from kafka_worker import Retry\n    assert Retry\n"
        "def main():\n    process = multiprocessing.get_context('spawn').Process(target=work)\n"
        "    process.start()\n    process.join()\n    return process.exitcode\n"
    )
    # As a child begins, with another module in place of ours.
    program = (
        "import runpy, sys; sys.argv = [%r]; globals().update(runpy.run_path(%r)); register(); users_first(); import tasks; "
        "sys.modules['__main__'].__file__ = %r; sys.exit(tasks.main())"
    )
    path = os.path.join(start.FOLDER, "start.py")

    done = subprocess.run([sys.executable, "-c", program % (path, path, path)], cwd=tmp_path, check=False)

    assert done.returncode == 0


def test_nothing_is_loaded_before_somebody_asks() -> None:
    program = "import sys, kafka_worker; print([name for name in sys.modules if name.startswith('kafka_worker.')])"
    command = [sys.executable, "-c", program]
    folder = Path(start.FOLDER).parent

    assert subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=True, text=True).stdout == "[]\n"


LATE = """
import os, sys, threading
from kafka_worker import start
from kafka_worker.ops import commands

class Late:
    def __del__(self, kill=os.kill, pid=os.getpid(), numbers=(1, 2, 15)):
        for number in numbers:
            kill(pid, number)

late, commands.main = Late(), lambda: 3
threading.Thread(target=threading.Event().wait, daemon=True).start()
sys.exit(start.run("ops.commands"))
"""


def test_signals_that_come_while_the_interpreter_ends_change_no_exit_code() -> None:
    folder = os.path.dirname(start.FOLDER)

    ended = subprocess.run([sys.executable, "-c", LATE], cwd=folder, check=False, timeout=30)

    assert ended.returncode == 3
