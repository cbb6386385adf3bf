"""How a process of ours ends: by `os._exit`, because a thread that hangs can't be joined. What Python does at the end of a
program is done before, within a limit: functions that were registered by `atexit`, and whatever waits in buffers."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import time
from _thread import start_new_thread
from typing import NoReturn

from kafka_worker.shared import logs
from kafka_worker.shared.output.last_words import while_

_sleep = time.sleep
_POOL_OF_THREADS = "concurrent.futures.thread"
_POOLS = (
    "joblib.externals.loky.process_executor", "loky.process_executor", "concurrent.futures.process", _POOL_OF_THREADS,
)  # fmt: skip


def leave(code: int, seconds: float, *, in_order: bool = True) -> NoReturn:
    """End the process with this code, `seconds` from now at the latest. Not in order: without the functions of `atexit`, which
    may use what another thread still uses."""
    with contextlib.suppress(BaseException):  # no thread can be had; a stream is closed
        start_new_thread(_by_force, (code, seconds))  # by name: what a handler put in its place may be no thread
        if in_order:
            _called()
        logs.end()
    os._exit(code)


def _called() -> None:
    with contextlib.suppress(BaseException), while_("calling the functions of atexit"):  # what they raise is told by Python
        _end_pools_of_processes()
        atexit._run_exitfuncs()  # noqa: SLF001 (what Python itself does then; it has no other name)


def _end_pools_of_processes() -> None:
    """What Python has executors do before that: `atexit` would wait for processes that wait for work, until our time is over.
    Pools of threads are not waited for, as no thread is (Python 3.8 has `atexit` do that)."""
    for name in _POOLS:
        with contextlib.suppress(Exception):  # it is not ours, and may be another one some day
            end = sys.modules[name]._python_exit  # noqa: SLF001 (as above)
            atexit.unregister(end)
            if name != _POOL_OF_THREADS:
                end()


def _by_force(code: int, seconds: float) -> None:
    _sleep(seconds)
    os._exit(code)
