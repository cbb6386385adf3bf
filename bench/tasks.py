"""The handler of `bench.whole`; as a program (`THREADS SECONDS`), what bare threads do that call it in a loop, a second."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import List

SECONDS = float(os.environ.get("TASK_MS", "5")) / 1000


def wait(_message: object) -> None:
    """As a call to some other service does."""
    time.sleep(SECONDS)


def bare(threads: int, seconds: float) -> float:
    """Calls a second."""
    counts = [0] * threads
    until = time.monotonic() + seconds

    def work(number: int) -> None:
        while time.monotonic() < until:
            wait(None)
            counts[number] += 1

    working: List[threading.Thread] = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    return sum(counts) / seconds


if __name__ == "__main__":
    print(bare(int(sys.argv[1]), float(sys.argv[2])))
