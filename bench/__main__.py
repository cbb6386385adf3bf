"""`make bench`: the ratio of this service's engine to a plain `consume(500)` loop.

Starts a real Kafka (or takes the one that --bootstrap names), fills a topic, runs the sides in
turns, and prints the median of the ratios of each round, and CPU per message. Nothing here fails on a number: a machine
that is busy with something else gives other ratios, so a person reads them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import uuid
from typing import Dict, Iterator, List

from confluent_kafka import Producer

from tests.support.admin import Admin
from tests.support.kafka import Cluster

SIDES = ("raw", "none", "key", "partition")
AIMS = {"none": 0.44, "key": 0.30}  # of the ratio
PARTITIONS = 8
KEYS = 1000


def fill(bootstrap: str, messages: int) -> str:
    """A topic with that many JSON messages of about 115 bytes."""
    topic = Admin(bootstrap).create_topic(f"bench-{uuid.uuid4().hex[:8]}", PARTITIONS)
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, "queue.buffering.max.messages": messages})
    for number in range(messages):
        value = json.dumps({"id": number, "scenario": "x" * 60, "steps": number * 3, "ok": True})
        producer.produce(topic, value, key=b"key-%d" % (number % KEYS))
        if number % 10_000 == 0:
            producer.poll(0)
    producer.flush()
    return topic


def measure(side: str, words: argparse.Namespace, bootstrap: str, topic: str) -> Dict[str, float]:
    """One side once: microseconds a message, by the clock and of CPU."""
    command = [
        sys.executable, "-m", "bench.side", side, "--bootstrap", bootstrap, "--topic", topic,
        "--messages", str(words.messages), "--threads", str(words.threads), "--max-in-flight", str(words.max_in_flight),
    ]  # fmt: skip
    result = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300).stdout)
    return {name: 1e6 * result[name] / result["messages"] for name in ("seconds", "cpu")}


def report(rounds: List[Dict[str, Dict[str, float]]]) -> str:
    """The table."""
    lines = [f"{'side':<10} {'us/message':>14} {'CPU us/message':>14} {'ratio':>8} {'aim':>6}"]
    for side in SIDES:
        ratio = statistics.median(each["raw"]["seconds"] / each[side]["seconds"] for each in rounds)
        wall, cpu = (statistics.median(each[side][name] for each in rounds) for name in ("seconds", "cpu"))
        lines.append(f"{side:<10} {wall:14.2f} {cpu:14.2f} {ratio:8.2f} {AIMS.get(side, ''):>6}")
    return "\n".join(lines)


@contextlib.contextmanager
def broker(bootstrap: str) -> Iterator[str]:
    """The broker that was named, or one of our own."""
    if bootstrap:
        yield bootstrap
        return
    with Cluster() as cluster:
        yield cluster.bootstrap


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bootstrap", default="", help="a running Kafka; default: one is started")
    parser.add_argument("--messages", type=int, default=600_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--max-in-flight", type=int, default=8000)
    words = parser.parse_args()
    with broker(words.bootstrap) as bootstrap:
        topic = fill(bootstrap, words.messages)
        rounds = []
        for number in range(words.rounds):
            rounds.append({side: measure(side, words, bootstrap, topic) for side in SIDES})
            print(f"round {number + 1}: load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    print(report(rounds))


if __name__ == "__main__":
    main()
