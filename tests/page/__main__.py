"""Serves made-up services by the real site, each at a port of its own, and lets look.mjs look at them in a browser."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import sys
from pathlib import Path
from typing import List

from kafka_worker.ops.serve import server, site
from kafka_worker.ops.serve.happenings import Happenings
from kafka_worker.ops.serve.history import STEP_SECONDS, History
from kafka_worker.ops.serve.watching import Watch
from kafka_worker.shared import http_settings
from kafka_worker.shared.ipc.snapshot import (
    BUCKETS,
    HeadReport,
    PartitionReport,
    SlotReport,
    Snapshot,
    Waits,
    WorkCount,
    as_json,
)
from tests.unit import reports
from tests.unit.fakes import some_settings

ROOT = Path(__file__).resolve().parents[2]
HOUR = 3600
SCENES = ("one", "many", "trouble", "silent")
STARTED = "2026-11-26T09:41:07.123+00:00"
STRANGE = '<img src="x" onerror="document.title=\'run\'">'

EVENTS = [
    {"number": 1, "time": STARTED, "level": "INFO", "event": "service-starting", "process": "supervisor",
     "message": "Starting 8 processes"},
    {"number": 2, "time": STARTED, "level": "INFO", "event": "process-started", "process": "supervisor", "slot": 1,
     "message": "slot 1: started process 1001"},
    {"number": 3, "time": STARTED, "level": "WARNING", "event": "breaker-opened", "process": "slot-1", "slot": 1},
    {"number": 4, "time": STARTED, "level": "ERROR", "event": "partition-held", "process": "slot-1", "slot": 1,
     "topic": "orders", "partition": 5, "message": STRANGE},
]  # fmt: skip


def partition(number: int) -> PartitionReport:
    lag = (number * 37) % 500 + 5
    head = HeadReport(100, list(Waits)[number % len(Waits)], 3.5, attempt=2)
    return reports.PARTITION._replace(
        partition=number, committed=100, end=100 + lag, lag=lag, done_beyond=lag // 4, in_flight=lag // 3,
        running=lag // 6, lag_seconds=lag / 10, head=head,
    )  # fmt: skip


def slots(partitions: int, processes: int, at: float) -> List[SlotReport]:
    found = []
    for number in range(processes):
        child = reports.child(
            pid=1000 + number, done=int(at * 20), rate=20.0, tasks=[reports.TASK._replace(key=STRANGE)],
            partitions=[partition(each) for each in range(number, partitions, processes)],
        )  # fmt: skip
        found.append(reports.slot(number, child=child, uptime=at))
    return found


def troubled(at: float) -> List[SlotReport]:
    """One of each trouble that a slot can have beside others."""
    dead, away, held, stalled = slots(24, 4, at)
    assert away.child
    assert held.child
    assert stalled.child
    of_held, of_stalled = held.child.partitions, stalled.child.partitions
    return [
        dead._replace(pid=0, state="dead", restart_in=4.2, last_exit="SIGSEGV", restarts=5, restart_reasons={"crash": 5}),
        away._replace(child=away.child._replace(broker_away=True, breakers=[reports.BREAKER], trouble=STRANGE)),
        held._replace(child=held.child._replace(partitions=[of_held[0]._replace(held=STRANGE), *of_held[1:]])),
        stalled._replace(
            child=stalled.child._replace(partitions=[of_stalled[0]._replace(stalled="no leader"), *of_stalled[1:]])
        ),
    ]


def scene(name: str, at: float) -> Snapshot:
    made = {"one": lambda: slots(1, 1, at), "many": lambda: slots(64, 8, at)}
    work = [
        WorkCount("tasks", "orders", "done", int(at * 20)),
        WorkCount("attempts_failed", "orders", "ValueError", int(at)),
        *(WorkCount("handler_calls", "orders", bucket, int(at * 2)) for bucket in BUCKETS[:-1]),
    ]
    return reports.snapshot(*made.get(name, lambda: troubled(at))(), uptime=at, utilization=0.625, work=work)


async def serve(name: str, listener: socket.socket, stop: asyncio.Event) -> None:
    """Until `stop`. The supervisor of "silent" says three words."""
    settings = some_settings(http="127.0.0.1:0", http_show_keys="on")
    watch, history, recent, loop = Watch(settings), History(), Happenings(), asyncio.get_running_loop()
    recent.hear({"began": 1.0, "newest": len(EVENTS), "events": EVENTS})
    for at in range(0, HOUR, int(STEP_SECONDS)):
        history.add(scene(name, float(at)), loop.time() - HOUR + at, 1.8e9 + at)

    async def speak() -> None:
        for second in range(3) if name == "silent" else itertools.count():
            watch.see(as_json(scene(name, HOUR + float(second))))
            await asyncio.sleep(1)

    speaking = asyncio.ensure_future(speak())
    await server.run(
        site.application(settings, watch, history, recent), server.Bounds(streams={site.EVENTS: 60.0}), listener, stop=stop
    )
    speaking.cancel()


async def main() -> int:
    stop = asyncio.Event()
    listeners = {name: http_settings.listen("127.0.0.1:0") for name in SCENES}
    serving = [asyncio.ensure_future(serve(name, listener, stop)) for name, listener in listeners.items()]
    ports = json.dumps({name: listener.getsockname()[1] for name, listener in listeners.items()})
    looking = await asyncio.create_subprocess_exec("node", "look.mjs", ports, cwd=ROOT / ".build" / "page")
    code = await looking.wait()
    stop.set()
    await asyncio.wait(serving)
    return code


sys.exit(asyncio.run(main()))
