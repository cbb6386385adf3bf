"""The unit tests by two pytests, each of which reads and runs every second file: `python -m tests.support.unit_tests`, as
`make test` does. Two workers of xdist read all files each, and tell a third process of each test.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import List

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "tests" / "unit"
PYTESTS = 2
#: What takes longest, the longest first: half of all. Each pytest has every second of these, too, or else the one that has
#: most of them is waited for. The two of rooms and architecture are in one: both parse all sources.
LONGEST = (
    "gates/test_breaker_model.py", "kafka/incoming/test_prefetch.py", "testing/test_worker.py", "test_simulation.py",
    "test_loop.py", "handler/formats/test_raw.py", "shared/ipc/test_control.py", "ownership/test_arrivals.py",
    "recovery/test_recovery.py", "test_loop_and_gates.py", "steering/test_parking.py", "recovery/test_quarantine.py",
    "upkeep/test_concurrency.py", "bench/test_instructions.py", "upkeep/test_long_calls.py",
    "shared/output/test_log_writer.py", "recovery/test_suspects_file.py", "handler/test_loading.py", "test_rooms.py",
    "ops/serve/test_guard.py", "test_architecture.py", "upkeep/test_upkeep.py", "test_loop_at_rest.py",
    "pools/test_async_pool.py",
)  # fmt: skip
#: To look through all that is installed for plugins, and to load those that no unit test needs, takes a third of the start.
PLUGINS = ("-p", "pytest_timeout", "-p", "_hypothesis_pytestplugin")
#: To make a file takes a tenth of the time there.
MEMORY = "/dev/shm"
#: To take an interpreter apart that has imported all this takes a fifth of a second, in which nothing is tested.
PYTEST = "import os, pytest, sys as s; end = pytest.main(s.argv[1:]); s.stdout.flush(); s.stderr.flush(); os._exit(end or 99)"
#: Its exit status when all is well. A test that ends the process (`os._exit(0)`, as much of ours does) has another.
WELL = 99
NO_OTHERS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def shares() -> List[List[str]]:
    """The files of each pytest."""
    in_order = [*(UNIT / name for name in LONGEST), *sorted(UNIT.rglob("test_*.py"))]
    files = [str(file) for file in dict.fromkeys(in_order)]
    return [files[first::PYTESTS] for first in range(PYTESTS)]


def begun(files: List[str], *, heard: bool) -> subprocess.Popen[str]:
    """What the others tell would stand in the midst of what is heard at once."""
    command = [sys.executable, "-c", PYTEST, "--quiet", *PLUGINS, *files]
    told = None if heard else subprocess.PIPE
    return subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **NO_OTHERS}, stdout=told, stderr=subprocess.STDOUT, text=True
    )


def main() -> int:
    """0 when all is well, else the first exit status that says otherwise."""
    with tempfile.TemporaryDirectory(dir=MEMORY if os.path.isdir(MEMORY) else None) as folder:
        runs = [begun([f"--basetemp={folder}/{number}", *files], heard=not number) for number, files in enumerate(shares())]
        with ThreadPoolExecutor(PYTESTS) as threads:  # who tells much while nobody reads it waits
            for told, _ in threads.map(lambda run: run.communicate(), runs):
                print(told or "", flush=True)
    return next((run.returncode or 1 for run in runs if run.returncode != WELL), 0)


if __name__ == "__main__":
    sys.exit(main())
