"""The handler of `bench.whole`."""

from __future__ import annotations

import os
import time

SECONDS = float(os.environ.get("TASK_MS", "5")) / 1000


def wait(_message: object) -> None:
    """As a call to some other service does."""
    time.sleep(SECONDS)
