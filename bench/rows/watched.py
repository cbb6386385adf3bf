"""(h) What it costs to be watched: metrics, and the last hour of all of them."""

from __future__ import annotations

from statistics import median
from typing import Callable

from bench.noise import Measured
from bench.peers.task import NOTHING
from bench.rows.noop import BACKLOG
from bench.rows.row import Cell, Row, Table
from bench.run import Place, Run
from bench.sides.side import Side
from bench.sides.watched import EVERY_SECONDS, Watched
from bench.topics import Shape

SIDES = ("ours", "ours-watched")
LEAD_SECONDS, SECONDS = 2.0, 8.0
WIDE = Shape(BACKLOG.messages, partitions=64)


def _measure(shape: Shape, task: str, processes: int, threads: int) -> Callable[[Place, Side], Measured]:
    def measure(place: Place, side: Side) -> Measured:
        with Run(place, side, shape, task, processes=processes, threads=threads) as run:
            measured = run.through(SECONDS) if task == NOTHING else run.steadily(LEAD_SECONDS, SECONDS)
            scrapes = run.running.scrapes if isinstance(run.running, Watched) else []
        return measured._replace(values={**measured.values, **({"scrape": 1000 * median(scrapes)} if scrapes else {})})

    return measure


ROW = Row(
    "h",
    "What it costs to be watched",
    f"The same work without and with `HTTP`, whose `/metrics` is asked for every {EVERY_SECONDS:g} s, from a backlog. All of "
    "the processes, that of HTTP too, share the cores of the machine.",
    (
        Cell("nothing to do, 1 x 16", SIDES, SECONDS + 3, _measure(BACKLOG, NOTHING, 1, 16)),
        Cell("5 ms, 1 x 16", SIDES, LEAD_SECONDS + SECONDS + 4, _measure(BACKLOG, "5", 1, 16)),
        Cell("20 ms, 8 x 8, 64 partitions", SIDES, LEAD_SECONDS + SECONDS + 12, _measure(WIDE, "20", 8, 8)),
    ),
    (
        Table("Ratio to the same unwatched", "rate", 3, ratio_to="ours"),
        Table("CPU of all its processes, µs a message", "cpu", 1, more_is_better=False),
        Table("A scrape, from the question to the last byte, ms", "scrape", 1, more_is_better=False),
    ),
)
