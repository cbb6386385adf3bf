"""All sides, by their names."""

from __future__ import annotations

import subprocess
import sys
from typing import Callable, Dict

from bench import environments
from bench.sides import service
from bench.sides.crew import Crew
from bench.sides.service import RunningService
from bench.sides.side import Running, Setting, Side
from bench.sides.watched import Watched

QUICK_JVM = ("-XX:+UseSerialGC", "-Xshare:auto")


def _program(environment: str, module: str) -> Callable[[Setting], Running]:
    """A Python program, once for each process."""

    def start(setting: Setting) -> Running:
        return Crew([environments.python_of(environment), "-m", module], setting, processes=setting.processes)

    return start


def _bare(setting: Setting) -> Running:
    """In no group."""
    crew = Crew([sys.executable, "-m", "bench.peers.bare_threads"], setting, processes=setting.processes)
    crew.members = 0
    return crew


def _faststream(setting: Setting) -> Running:
    command = [environments.python_of("faststream"), "-m", "faststream", "run", "bench.peers.faststream_app:app"]
    crew = Crew([*command, "--workers", str(setting.processes)], setting, processes=1, forks=True)
    crew.members = setting.processes * setting.consumers
    return crew


def _java(setting: Setting) -> Running:
    """One virtual machine with all threads is its way, unless processes are to be apart."""
    command = ["java", *QUICK_JVM, "-cp", environments.classpath(), "Peer"]
    if setting.apart:
        return Crew(command, setting, processes=setting.processes)
    crew = Crew(command, setting.with_threads(setting.threads * setting.processes), processes=1)
    crew.members = 1
    return crew


def _installed(environment: str, *names: str) -> Callable[[], Dict[str, str]]:
    def versions() -> Dict[str, str]:
        listed = environments.versions(environments.python_of(environment))
        return {name: listed[name] for name in names}

    return versions


def _java_versions() -> Dict[str, str]:
    environments.classpath()
    said = subprocess.run(["java", "-version"], stderr=subprocess.PIPE, text=True, check=True).stderr
    return {"parallel-consumer-core": "0.5.3.3", "java": said.split('"')[1]}


AT_LEAST_ONCE = "at least once"
SIDES = {
    side.name: side
    for side in (
        Side(
            "raw", "raw `poll` + `consume(499)`", "nothing is decoded, done or committed: the floor", "nothing",
            _program("confluent", "bench.peers.raw_consume"), _installed("confluent", "confluent-kafka"),
        ),
        Side(
            "bare", "bare threads", "the task again and again, no messages at all: the bound", "nothing", _bare, dict,
        ),
        Side(
            "ours", "this service", "the whole command, `ORDERING=key`",
            "at least once, in order of each key; its processes are replaced when they die",
            lambda setting: RunningService(setting, "key"), service.versions, peer=False,
        ),
        Side(
            "ours-none", "this service, no order", "the whole command, `ORDERING=none`",
            "at least once; its processes are replaced when they die",
            lambda setting: RunningService(setting, "none"), service.versions, peer=False,
        ),
        Side(
            "ours-async", "this service, an `async def`", "the whole command, `ORDERING=key`, `COROUTINES` for threads",
            "at least once, in order of each key; its processes are replaced when they die",
            lambda setting: RunningService(setting, "key", "bench.async_tasks:work"), service.versions, peer=False,
        ),
        Side(
            "ours-watched", "this service, watched", "the whole command with `HTTP`, asked for its metrics once a second",
            "at least once, in order of each key; its processes are replaced when they die",
            Watched, service.versions, peer=False,
        ),
        Side(
            "arroyo", "sentry-arroyo", "`RunTaskInThreads`, 1,000 pending futures, `CommitOffsets`, orjson", AT_LEAST_ONCE,
            _program("arroyo", "bench.peers.arroyo_threads"), _installed("arroyo", "sentry-arroyo", "confluent-kafka"),
        ),
        Side(
            "aiokafka", "aiokafka", "`getmany(500)`, `gather` behind a semaphore, a commit a batch, orjson", AT_LEAST_ONCE,
            _program("aiokafka", "bench.peers.aiokafka_batches"), _installed("aiokafka", "aiokafka"),
        ),
        Side(
            "faststream", "FastStream (aiokafka)", "`AckPolicy.ACK`, `max_workers` (one a partition), `--workers`",
            "at least once, in order of each partition; its processes are replaced when they die",
            _faststream, _installed("faststream", "faststream", "aiokafka"),
        ),
        Side(
            "plain", "`poll` + `ThreadPoolExecutor`", "an asynchronous commit a message, a bound to what is submitted, orjson",
            "what a crash interrupts may be lost: later offsets are committed first",
            _program("confluent", "bench.peers.plain_executor"), _installed("confluent", "confluent-kafka"),
        ),
        Side(
            "java", "parallel-consumer (Java)", "`ProcessingOrder.KEY`, one virtual machine with all threads, Jackson",
            "at least once, in order of each key", _java, _java_versions,
        ),
    )
}  # fmt: skip
