"""What one writes by hand: `poll`, a `ThreadPoolExecutor`, and a commit a message.

Asynchronous commits, and a bound to what is submitted: without them it is slower still, and its queue grows to a gigabyte.
Commits of later messages pass those that still run, so a crash may lose some."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from confluent_kafka import Consumer

from bench.peers.settings import BOOTSTRAP, GROUP, THREADS, TOPIC
from bench.peers.task import Task


def main() -> None:
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    task, room = Task.from_environment(), threading.Semaphore(4 * THREADS)
    consumer = Consumer({
        "bootstrap.servers": BOOTSTRAP, "group.id": GROUP, "auto.offset.reset": "earliest", "enable.auto.commit": False,
    })  # fmt: skip
    consumer.subscribe([TOPIC])

    def handle(message: Any) -> None:
        try:
            task.work(orjson.loads(message.value()))
            consumer.commit(message=message, asynchronous=True)
        finally:
            room.release()

    with ThreadPoolExecutor(THREADS) as pool:
        while not stopping.is_set():
            message = consumer.poll(0.1)
            if message is not None and not message.error():
                room.acquire()
                pool.submit(handle, message)
    consumer.close()


if __name__ == "__main__":
    main()
