"""What others see of whoever runs tasks: one pool, or several as one (see `composite`)."""

from __future__ import annotations

import threading
from typing import Deque, Iterable, List, Optional, Protocol, Tuple

from kafka_worker.partitions.queues import Queue
from kafka_worker.partitions.task import Task
from kafka_worker.partitions.undecided import Undecided
from kafka_worker.pools.handler_thread import HandlerThread
from kafka_worker.pools.thread_pool import Pool


class Runner(Protocol):
    """What runs tasks: a pool, or several as one."""

    # For the consumer thread to decide about:
    undecided: Deque[Undecided]
    idle: threading.Event  # set by whoever finds nothing to do; cleared by the consumer thread
    kept_back: Deque[Task]  # not started, because their partition was closed before their turn came

    @property
    def threads(self) -> List[HandlerThread]:
        """What is known of each."""

    @property
    def limit(self) -> int:
        """How many threads may take tasks."""

    @property
    def capacity(self) -> int:
        """How many calls may run at once."""

    @property
    def tuned(self) -> Optional[Pool]:
        """The pool whose size may be tuned by what is measured; None: there is none."""

    def prepare(self, seconds: Optional[float] = None) -> bool:
        """Start what must be there before the process takes its seat, and wait for it; whether it came. `start` follows."""

    def start(self) -> None:
        """Start the threads."""

    def stop(self) -> None:
        """End the threads that have nothing to do. Their hooks stop."""

    def close(self) -> None:
        """All threads have ended, and the process goes on."""

    def serve(self, queues: Iterable[Queue]) -> None:
        """Take tasks from these queues from now on, in turn."""

    def wake(self, tasks: int) -> None:
        """So many tasks were put into the queues."""

    def running(self) -> List[Tuple[HandlerThread, Task]]:
        """What runs now. Any thread."""

    def full(self, topic: str) -> bool:
        """Whether nothing is free to run a task of this topic."""

    def share_is_full(self, topic: str) -> bool:
        """Whether as many calls for this topic run as its THREADS_SHARE allows, whatever else is free."""
