"""(f) What a message costs when there is more of everything."""

from __future__ import annotations

from typing import Callable, Dict, Iterator

from bench.noise import Measured
from bench.peers.task import NOTHING
from bench.rows.noop import BACKLOG
from bench.rows.row import Cell, Row, Table
from bench.run import Place, Run
from bench.sides.side import Side
from bench.topics import Shape

PARTITIONS = (1, 4, 16, 64, 256, 1000)
IN_FLIGHT = (10, 100, 1_000, 10_000, 100_000)
PROCESSES = (1, 4, 16, 64)
LEAD_SECONDS, SECONDS = 4.0, 6.0  # in the first of them 100,000 come in flight
MESSAGES = 300_000
MANY = Shape(BACKLOG.messages, partitions=64)
OURS = ("ours",)


def _through(partitions: int) -> Callable[[Place, Side], Measured]:
    def measure(place: Place, side: Side) -> Measured:
        with Run(place, side, Shape(MESSAGES, partitions), NOTHING) as run:
            return run.through(SECONDS)

    return measure


def _steadily(shape: Shape, processes: int, threads: int, ours: Dict[str, str]) -> Callable[[Place, Side], Measured]:
    def measure(place: Place, side: Side) -> Measured:
        with Run(place, side, shape, "5", processes=processes, threads=threads, ours=ours) as run:
            return run.steadily(LEAD_SECONDS, SECONDS)

    return measure


def _cells() -> Iterator[Cell]:
    for count in PARTITIONS:
        yield Cell(f"{count:,} partitions", OURS, SECONDS + 4, _through(count), curve="partitions", x=count)
    for count in IN_FLIGHT:
        measure = _steadily(BACKLOG, 1, 16, {"MAX_IN_FLIGHT": str(count)})
        yield Cell(f"{count:,} in flight", OURS, LEAD_SECONDS + SECONDS + 4, measure, curve="in flight", x=count)
    for count in PROCESSES:
        measure = _steadily(MANY, count, 1, {})
        yield Cell(f"{count} processes", OURS, LEAD_SECONDS + SECONDS + 4 + count, measure, curve="processes", x=count)


ROW = Row(
    "f",
    "What a message costs when there is more of everything",
    "This service alone. Partitions: one process, 16 threads, nothing to do. In flight: the same with tasks of 5 ms and this "
    "`MAX_IN_FLIGHT`. Processes: one thread each, tasks of 5 ms, so that each has the same to do. The exponent b is that of "
    "the cost of a message = a · x^b that fits best: 0 means that it does not grow.",
    tuple(_cells()),
    (
        Table("CPU of the service, µs a message", "cpu", 1, more_is_better=False),
        Table("Messages a second", "rate"),
        Table("Memory of the largest process, MB", "worker_mb", 0, more_is_better=False),
    ),
)
