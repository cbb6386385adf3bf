"""The floor: `poll` and `consume(499)`, nothing is decoded, nothing done, nothing committed."""

from __future__ import annotations

import os

from confluent_kafka import Consumer

from bench.peers.settings import BOOTSTRAP, GROUP, TOPIC
from bench.peers.task import Marks


def main() -> None:
    marks = Marks(os.environ["BENCH_MARKS"], int(os.environ["BENCH_MESSAGES"]))
    consumer = Consumer({
        "bootstrap.servers": BOOTSTRAP, "group.id": GROUP, "auto.offset.reset": "earliest", "enable.auto.commit": False,
        "partition.assignment.strategy": "cooperative-sticky",
        "fetch.queue.backoff.ms": 10,  # of 1000: with that, a fast consumer waits for its own client
    })  # fmt: skip
    consumer.subscribe([TOPIC])
    count = 0
    while True:
        first = consumer.poll(1.0)
        if first is None or first.error():
            continue
        batch = 1 + len(consumer.consume(499, 0))
        batch = min(batch, len(marks.done) - count)
        marks.done[count : count + batch] = b"\1" * batch
        count += batch


if __name__ == "__main__":
    main()
