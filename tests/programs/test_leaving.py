"""How a process ends whose module has left work, or workers, behind."""

from __future__ import annotations

import subprocess
import sys

from tests.support.kafka_jars import ROOT

SECONDS = 60.0  # for a process that has nothing to wait for
LEFT = """
import atexit, sys, threading, types
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from kafka_worker.shared.leaving import leave

processes, threads = ProcessPoolExecutor(1), ThreadPoolExecutor(1)
assert processes.submit(abs, -1).result() == 1
threads.submit(threading.Event().wait)
sys.modules["loky.process_executor"] = types.SimpleNamespace(_python_exit=lambda: 1 / 0)  # of one nothing hinders the others
atexit.register(print, "the functions of atexit", flush=True)
leave(0, 1000.0)
"""


def test_pools_of_a_module_keep_no_process_from_its_end() -> None:
    """A pool of processes waits for more work, and `atexit` for its processes; a thread of a pool never ends."""
    ended = subprocess.run(
        [sys.executable, "-c", LEFT], cwd=ROOT, check=True, timeout=SECONDS, stdout=subprocess.PIPE, text=True
    )

    assert ended.stdout == "the functions of atexit\n"
