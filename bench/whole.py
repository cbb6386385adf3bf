"""`python -m bench.whole`: the whole command under a backlog. How much of what its threads could do gets done, and what a
message costs, in the service and in the broker.

It starts a real Kafka of its own and waits until the service works; from then on it looks at what `status` counts and at the
CPU time of all processes. The share is of what bare threads do that call the same handler in a loop, in as many processes: a
sleep of 5 ms takes longer than that. What the broker uses while nobody asks it is not counted. As for `make bench`: a machine
that is busy with something else gives other numbers.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
import uuid
from typing import Dict, List, NamedTuple

import psutil
from confluent_kafka import Producer

from tests.support.admin import Admin
from tests.support.kafka import Cluster
from tests.support.service import Service

SECONDS = 60.0  # for whatever should not take long
LEAD_SECONDS = 3.0  # until it runs evenly


class Look(NamedTuple):
    """What was counted until a moment."""

    at: float
    done: int
    cpu: float  # seconds, of the service
    broker_cpu: float
    received: int  # bytes, from the broker


def fill(bootstrap: str, messages: int, partitions: int, size: int) -> str:
    """A topic with a backlog, by keys; each value is so many bytes."""
    config = {"max.message.bytes": str(2_000_000)}
    topic = Admin(bootstrap).create_topic(f"bench-{uuid.uuid4().hex[:8]}", partitions, config)
    bounds = {
        "queue.buffering.max.messages": messages,
        "queue.buffering.max.kbytes": 2**21 - 1,
        "message.max.bytes": 2_000_000,
    }
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50, **bounds})
    start = '{"id": "'
    for number in range(messages):
        text = f"{start}{number:0{size - len(start) - 2}d}" + '"}'
        producer.produce(topic, text.encode(), key=b"key-%d" % (number % 10_000))
        if number % 10_000 == 0:
            producer.poll(0)
    producer.flush()
    return topic


def look(service: Service, broker: psutil.Process) -> Look:
    """What has been counted by now."""
    done = sum(slot["child"]["done"] for slot in service.slots() if slot["child"])
    pids = service.pids()
    return Look(time.monotonic(), done, sum(map(cpu, map(psutil.Process, pids))), cpu(broker), received(pids))


def received(pids: List[int]) -> int:
    """Bytes that these have got by connections that stand."""
    command = ["ss", "--tcp", "--info", "--processes", "--no-header", "--oneline"]
    lines = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
    ours = [line for line in lines if any(f"pid={pid}," in line for pid in pids)]
    return sum(int(number) for line in ours for number in re.findall(r"bytes_received:(\d+)", line))


def cpu(process: psutil.Process) -> float:
    """Seconds of CPU that it has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def bare(words: argparse.Namespace, seconds: float) -> float:
    """Calls a second of bare threads, in all processes together."""
    command = [sys.executable, "-m", "bench.tasks", str(words.threads), str(seconds)]
    env = {**os.environ, "TASK_MS": str(words.task_ms)}
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, env=env, text=True) for _ in range(words.processes)]
    return sum(float(process.communicate()[0]) for process in processes)


def idle(broker: psutil.Process, seconds: float) -> float:
    """Seconds of CPU a second that it uses for nothing."""
    before = cpu(broker)
    time.sleep(seconds)
    return (cpu(broker) - before) / seconds


def measure(words: argparse.Namespace, cluster: Cluster, topic: str) -> Dict[str, float]:
    """One run of the service: share of what could be done, and microseconds of CPU a message."""
    broker = psutil.Process(cluster.node().pid)
    bound, idling = bare(words, LEAD_SECONDS), idle(broker, LEAD_SECONDS)
    env = {"TASK_MS": str(words.task_ms), "ORDERING": words.ordering, "PYTHONPATH": "."}
    group = f"bench-{uuid.uuid4().hex[:8]}"
    with Service(
        cluster.bootstrap, topic, group, processes=words.processes, threads=words.threads, handler="bench.tasks:wait", env=env
    ) as service:
        service.wait_ready(SECONDS, words.partitions)
        time.sleep(LEAD_SECONDS)
        before = look(service, broker)
        time.sleep(words.seconds)
        after = look(service, broker)
        memory = max(psutil.Process(pid).memory_info().rss for pid in service.children().values())
    seconds, done = after.at - before.at, after.done - before.done
    return {
        "a second": done / seconds,
        "share of bare threads %": 100 * done / seconds / bound,
        "CPU us/message": 1e6 * (after.cpu - before.cpu) / done,
        "broker CPU us/message": 1e6 * (after.broker_cpu - before.broker_cpu - idling * seconds) / done,
        "bytes from it/message": (after.received - before.received) / done,
        "RSS MB": memory / 1e6,
    }


def report(rounds: List[Dict[str, float]]) -> str:
    """The median of each number, with the lowest and the highest."""
    lines = []
    for name in rounds[0]:
        values = sorted(each[name] for each in rounds)
        lines.append(f"{name:<24} {values[len(values) // 2]:10.1f}   ({values[0]:.1f} to {values[-1]:.1f})")
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.whole", description="The whole service under a backlog.")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--task-ms", type=float, default=5.0)
    parser.add_argument("--partitions", type=int, default=16)
    parser.add_argument("--value-bytes", type=int, default=177)
    parser.add_argument("--ordering", default="key")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    words = parser.parse_args()
    bound = words.processes * words.threads * 1000 / words.task_ms
    with Cluster() as cluster:
        topic = fill(cluster.bootstrap, int(bound * (words.seconds + 4 * LEAD_SECONDS)), words.partitions, words.value_bytes)
        rounds = [measure(words, cluster, topic) for _ in range(words.rounds)]
    print(report(rounds))


if __name__ == "__main__":
    main()
