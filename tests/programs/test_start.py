"""How processes begin and end: what programs of handlers find there, and what comes too late."""

from __future__ import annotations

import os
import subprocess
import sys
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
