"""A handler that makes processes. A message says how: `{"id": "7", "how": "pool"}`. Then it does as `handlers.work` does."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import threading
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Callable, Dict

from tests.support import handlers
from tests.support.ledger import Ledger

WORKERS = 2
TELL = "grep SigIgn /proc/self/status; for file in /proc/self/fd/*; do readlink $file; done; true"
EXECUTORS: Dict[str, ProcessPoolExecutor] = {}  # by their start method; they last as long as the process
lock = threading.Lock()


def work(message: Dict[str, Any], context: Any) -> None:
    """Makes processes first, if the message says how."""
    if "how" in message:
        HOW[message["how"]](message)
    handlers.work(message, context)


def pool(_message: Dict[str, Any]) -> None:
    """Ends its processes by SIGTERM."""
    with multiprocessing.get_context("fork").Pool(WORKERS) as made:
        assert made.map(abs, [-1, -2]) == [1, 2]


def executor(message: Dict[str, Any]) -> None:
    """Processes of a module, which wait for more work for ever."""
    method = message["method"]
    with lock:
        if method not in EXECUTORS:
            EXECUTORS[method] = ProcessPoolExecutor(WORKERS, multiprocessing.get_context(method))
    assert EXECUTORS[method].submit(abs, -1).result() == 1


def daemon(_message: Dict[str, Any]) -> None:
    """Leaves a copy of us behind, as daemons are made."""
    middle = os.fork()
    if middle == 0:
        os.setsid()
        if os.fork() == 0:
            Ledger(os.environ["LEDGER"]).write("daemon", str(os.getpid()))
            threading.Event().wait()
        os._exit(0)
    os.waitpid(middle, 0)


def die_behind(_message: Dict[str, Any]) -> None:
    """Leaves a process behind that ends soon, and that nobody waits for but PID 1."""
    subprocess.run("true &", shell=True, check=True)


def program(_message: Dict[str, Any]) -> None:
    """Tells which signals a program ignores, and what it has open although nothing was closed for it."""
    told = subprocess.run(["sh", "-c", TELL], stdout=subprocess.PIPE, close_fds=False, check=True).stdout.decode()
    Ledger(os.environ["LEDGER"]).write("program", told)


HOW: Dict[str, Callable[[Dict[str, Any]], None]] = {
    made.__name__: made for made in (pool, executor, daemon, die_behind, program)
}
