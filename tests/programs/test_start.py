"""How processes begin and end: what programs of handlers find there, and what comes too late."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from kafka_worker import start


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


ROOT = os.path.dirname(start.FOLDER)
TOO_OLD = "import runpy, sys; sys.version_info = (3, 7, 16); sys.argv = ['supervisor.py']; runpy.run_path('supervisor.py')"


def test_a_python_without_our_libraries_is_told_as_that(tmp_path: Path) -> None:
    """As `python3 supervisor.py` mostly is before `pip install`. What needs none of them works."""
    environment = {"PATH": os.environ["PATH"], "KAFKA_BOOTSTRAP_SERVERS": "localhost:1", "KAFKA_GROUP_ID": "group"}
    environment["RUNTIME_DIRECTORY"] = str(tmp_path)
    commands = [["supervisor.py", *words] for words in ([], ["--check-config"], ["lag"], ["status"], ["--help"])]
    said = [
        subprocess.run(
            [sys.executable, "-S", *words],
            cwd=ROOT,
            env=environment,
            check=False,
            timeout=30,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for words in (*commands, ["-m", "kafka_worker.ops.first_run"])
    ]

    assert [each.returncode for each in said] == [78, 78, 78, 2, 0, 78]
    for each in said[:3] + said[5:]:
        assert each.stderr.startswith("No module named 'confluent_kafka'")
        assert each.stderr.endswith(f"do: {sys.executable} -m pip install -r {ROOT}/requirements.txt\n")
        assert each.stderr.count("\n") == 1


def test_a_python_that_is_too_old_is_told_as_that() -> None:
    said = subprocess.run(
        [sys.executable, "-c", TOO_OLD], cwd=ROOT, check=False, timeout=30, stderr=subprocess.PIPE, text=True
    )

    assert (said.returncode, said.stderr.count("\n")) == (78, 1)
    assert said.stderr.startswith(f"Python 3.8 or newer is needed, and {sys.executable} is ")
    for name in ("supervisor.py", "worker/__init__.py"):  # which it reads before it comes to that
        text = Path(ROOT, name).read_text(encoding="utf-8")
        assert "import annotations" not in text
        ast.parse(text, feature_version=(3, 6))


def test_an_archive_is_told_as_that_and_not_as_a_handler_that_ends_its_process(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as archive:
        for path in Path(start.FOLDER).rglob("*.py"):
            archive.write(path, f"kafka_worker/{path.relative_to(start.FOLDER)}")

    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "app.pyz")}
    environment.update({"KAFKA_BOOTSTRAP_SERVERS": "localhost:1", "KAFKA_GROUP_ID": "group"})
    said = subprocess.run(
        [sys.executable, "-m", "kafka_worker", "--check-config"],
        cwd=tmp_path,
        env=environment,
        check=False,
        timeout=30,
        stderr=subprocess.PIPE,
        text=True,
    )

    assert (said.returncode, said.stderr.count("\n")) == (78, 1)
    assert said.stderr.startswith(f"{tmp_path}/app.pyz/kafka_worker is in an archive")


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


EARLY = """
import os, sys, _signal

def held_back(*_):
    print(*(name for name in sys.modules if name not in before), flush=True)
    os._exit(0)

before, _signal.pthread_sigmask = set(sys.modules), held_back
from worker.start import run
run("ops.commands")
"""


def test_nothing_of_ours_is_imported_before_signals_are_held_back() -> None:
    """A Ctrl-C until then is a traceback of Python's: only its own start, and that of one module, is that early."""
    folder = os.path.dirname(start.FOLDER)

    imported = subprocess.run([sys.executable, "-c", EARLY], cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout

    assert set(imported.split()) <= {"__future__", "worker", "worker.start"}


PATIENT = """
import os, subprocess, sys
from kafka_worker import start
from kafka_worker.ops import commands

commands.main = lambda: subprocess.run(["sh", "-c", "exit 3"]).returncode
sys.exit(start.run("ops.commands"))
"""
DEAF = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.executable, sys.argv[1:])"


def test_who_is_started_where_ends_of_processes_are_ignored_hears_how_its_own_end() -> None:
    """As some keepers of services start theirs: a program of a handler that fails would seem to have succeeded."""
    folder = os.path.dirname(start.FOLDER)
    command = [sys.executable, "-c", DEAF, sys.executable, "-c", PATIENT]

    assert subprocess.run(command, cwd=folder, check=False, timeout=30).returncode == 3


MAKES = """
import os, sys
from kafka_worker import start
from kafka_worker.ops import commands

commands.main = lambda: os.umask(0)
sys.exit(start.run("ops.commands"))
"""


def test_what_we_make_is_ours_to_open_whatever_mask_we_are_started_with() -> None:
    command = f'umask 0727; exec "{sys.executable}" -c "$0"'

    assert subprocess.run(["sh", "-c", command, MAKES], cwd=os.path.dirname(start.FOLDER), check=False).returncode == 0o027
