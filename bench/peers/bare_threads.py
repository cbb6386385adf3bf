"""The bound: bare threads that do the task again and again, without messages. (A sleep of 5 ms takes longer than that.)"""

from __future__ import annotations

import itertools
import os
import threading

from bench.peers.settings import THREADS
from bench.peers.task import Task


def main() -> None:
    task, messages = Task.from_environment(), int(os.environ["BENCH_MESSAGES"])
    numbers = itertools.count(int(os.environ["BENCH_PLACE"]), int(os.environ["BENCH_PROCESSES"]))

    def work() -> None:
        for number in iter(numbers.__next__, None):
            task.work({"id": number % messages})

    for _ in range(THREADS):
        threading.Thread(target=work).start()


if __name__ == "__main__":
    main()
