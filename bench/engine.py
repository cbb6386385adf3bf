"""One side of the comparison, in a process of its own: consumes a topic from its beginning in a fresh group, and prints one
JSON line: seconds from the first message to the last, and CPU seconds of the whole process in that time."""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import threading
import time
import uuid
from typing import Any, Callable, Dict

from kafka_worker import build
from kafka_worker.draining.stopping import Stop
from kafka_worker.kafka.consumer import create_consumer
from kafka_worker.kafka.properties import Member, consumer_properties
from kafka_worker.loop import ConsumerLoop
from kafka_worker.outcomes.retry import policies
from kafka_worker.partitions.assignment import Partition
from kafka_worker.pools.thread_pool import Pool
from kafka_worker.recovery.journal import Journal
from kafka_worker.recovery.quarantine import Quarantine
from kafka_worker.recovery.suspects_file import SuspectsFile
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system.deadline import Deadline
from tests.support.stages import consuming

LIMIT_SECONDS = 120.0


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def settings(words: argparse.Namespace) -> Settings:
    folder = tempfile.gettempdir()
    return Settings(
        bootstrap_servers=words.bootstrap,
        group_id=f"bench-{uuid.uuid4()}",
        topics=(words.topic,),
        processes=1,
        threads=words.threads,
        threads_max=words.threads,
        restart_limit=10,
        runtime_directory=folder,
        state_directory=folder,
        membership="dynamic",
        ordering=words.side if words.side != "raw" else "none",
        max_in_flight=words.max_in_flight,
        # Both sides fetch alike: the comparison is about what happens to a message, not about the network.
        consumer_properties={"queued.min.messages": "100000", "queued.max.messages.kbytes": "65536"},
    )


def raw(words: argparse.Namespace) -> Dict[str, float]:
    """The floor: nothing is done with a message."""
    consumer = create_consumer(consumer_properties(settings(words), "bench"))
    consumer.subscribe([words.topic])
    count, started, cpu = 0, 0.0, 0.0
    limit = Deadline(LIMIT_SECONDS)
    while count < words.messages and not limit.expired():
        batch = [message for message in consumer.consume(500, 0.1) if message.error() is None]
        if batch and not count:
            started, cpu = time.monotonic(), cpu_seconds()
        count += len(batch)
    result = {"seconds": time.monotonic() - started, "cpu": cpu_seconds() - cpu, "messages": count}
    consumer.close()
    return result


def engine(words: argparse.Namespace) -> Dict[str, float]:
    """All of a child but the process around it: tracker, lanes, pool, commits, back-pressure; the handler does nothing."""
    its = settings(words)
    pool = Pool(words.threads, _handler(words))
    folder = tempfile.TemporaryDirectory(prefix="bench-", dir=words.journal_folder or None)
    quarantine = Quarantine(its, 0, pool, SuspectsFile(None))
    parts = build.parts(
        its, pool, quarantine, policies(its, lambda: 1.0), Member("bench", 0),
        lambda: None if words.journal == "off" else Journal(os.path.join(folder.name, "journal")),
    )  # fmt: skip
    loop = ConsumerLoop(its, parts, consuming())
    pool.start()
    threading.Thread(target=loop.consume_messages, daemon=True).start()
    limit = Deadline(LIMIT_SECONDS)
    while not _done(pool) and not limit.expired():
        time.sleep(0.0005)
    started, cpu, before = time.monotonic(), cpu_seconds(), _done(pool)
    while _done(pool) < words.messages and not limit.expired():
        time.sleep(0.002)
    result = {"seconds": time.monotonic() - started, "cpu": cpu_seconds() - cpu, "messages": _done(pool) - before}
    loop.stop(Stop(Deadline(5.0), leave=True))
    folder.cleanup()
    return result


def _handler(words: argparse.Namespace) -> Callable[[Any, Partition, int], Any]:
    pause = words.handler_ms / 1000
    return (lambda _message, _partition, _attempt: time.sleep(pause)) if pause else lambda *_: None


def _done(pool: Pool) -> int:
    return sum(thread.done for thread in pool.threads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=["raw", "none", "key", "partition"])
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--messages", type=int, required=True)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--max-in-flight", type=int, default=8000)
    parser.add_argument("--journal", choices=["on", "off"], default="on")
    parser.add_argument("--journal-folder", default="", help="default: the temporary directory")
    parser.add_argument("--handler-ms", type=float, default=0.0)
    words = parser.parse_args()
    print(json.dumps(raw(words) if words.side == "raw" else engine(words)), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
