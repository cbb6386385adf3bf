"""The command of a service that is tested: in the test's own folder, as an operator starts it there, but for the `.env` that
may lie in it. It ends with whoever has started it, also where that was killed and could ask nobody to."""

from __future__ import annotations

import os
import signal
import threading

from kafka_worker.ops import commands

LOOK_SECONDS = 1.0


def main() -> int:
    """The service. Returns the exit code."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    return commands.main(env_file=os.devnull)


def _end_with(parent: int) -> None:
    """By the kernel (`PR_SET_PDEATHSIG`) it would end with the thread that has started it."""
    while os.getppid() == parent:
        threading.Event().wait(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
