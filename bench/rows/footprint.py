"""(e) What it takes to be there: start, memory, and what the supervisor needs."""

from __future__ import annotations

import time
from typing import Callable

from bench import usage
from bench.noise import Measured
from bench.rows.noop import BACKLOG
from bench.rows.row import ALL, Cell, Row, Table
from bench.run import Place, Run
from bench.sides.service import RunningService
from bench.sides.side import Side
from bench.topics import Shape

CALM_SECONDS, WORK_SECONDS, LOOK_SECONDS = 3.0, 8.0, 10.0
CHILDREN = (1, 8, 64)


def _start(place: Place, side: Side) -> Measured:
    with Run(place, side, BACKLOG, "5") as run:
        return run.whole({"start": 1000 * run.first()})


def _idle(place: Place, side: Side) -> Measured:
    shape = Shape(16)
    with Run(place, side, shape, "5", topic=place.topics.empty(shape.partitions)) as run:
        run.complete()
        time.sleep(CALM_SECONDS)
        return _weighed(run)


def _busy(place: Place, side: Side) -> Measured:
    with Run(place, side, BACKLOG, "5") as run:
        run.first()
        time.sleep(WORK_SECONDS)
        return _weighed(run)


def _weighed(run: Run) -> Measured:
    return run.whole({"worker_mb": run.worker_mb(), "all_mb": usage.proportional_mb(run.running.processes())})


def _supervisor(children: int) -> Callable[[Place, Side], Measured]:
    shape = Shape(max(16, children), partitions=max(16, children))

    def measure(place: Place, side: Side) -> Measured:
        topic = place.topics.empty(shape.partitions)
        with Run(place, side, shape, "5", topic=topic, processes=children, threads=2) as run:
            assert isinstance(run.running, RunningService)
            run.complete()
            time.sleep(CALM_SECONDS)
            supervisor, before = run.running.supervisor, run.look()
            used = usage.cpu_seconds([supervisor])
            time.sleep(LOOK_SECONDS)
            values = {
                "supervisor_cpu": 100 * (usage.cpu_seconds([supervisor]) - used) / LOOK_SECONDS,
                "supervisor_mb": usage.resident_mb(supervisor),
            }
            return Measured(values, before.moment.others(run.look().moment))

    return measure


ROW = Row(
    "e",
    "What it takes to be there",
    "One process, 16 threads, but for the supervisor with so many children of two threads, all idle. The start is that "
    "of a new group, with all of its files in the cache: from the command to the end of the first task (of 5 ms). "
    "Backlog: tasks of 5 ms.",
    (
        Cell("start", ("raw", *ALL), 4, _start, quick=True),
        Cell("idle", ("raw", *ALL), 4 + CALM_SECONDS, _idle),
        Cell("backlog", ALL, 4 + WORK_SECONDS, _busy),
        *(Cell(f"{count} children", ("ours",), 17 + 1.5 * count, _supervisor(count)) for count in CHILDREN),
    ),
    (
        Table("Start to the first message, ms", "start", 0, more_is_better=False, plot=True),
        Table("Memory of a process that does tasks, MB", "worker_mb", 0, more_is_better=False, plot=True),
        Table("Memory of all processes, shared pages once, MB", "all_mb", 0, more_is_better=False),
        Table("CPU of the supervisor, % of a core", "supervisor_cpu", 2, more_is_better=False),
        Table("Memory of the supervisor, MB", "supervisor_mb", 0, more_is_better=False),
    ),
)
