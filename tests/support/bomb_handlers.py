"""A handler for a process with little memory: whoever uses LITTLE_MB more than at the start of this module is killed, as the
kernel does it with a memory limit, wherever the memory is used."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from tests.support.eventually import eventually
from tests.support.handlers import work

HOUR = 3600.0


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _guard(most: int) -> None:
    eventually(lambda: _resident() >= most, HOUR, "there is memory no more")
    os.kill(os.getpid(), signal.SIGKILL)


threading.Thread(target=_guard, args=(_resident() + int(os.environ["LITTLE_MB"]) * 1_000_000,), daemon=True).start()


def handle(message: Any, context: Any) -> None:
    """The same as `work`."""
    work(message, context)
