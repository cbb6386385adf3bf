"""(b) Tasks that wait: how much of what the threads could do gets done."""

from __future__ import annotations

from typing import Callable

from bench.noise import Measured
from bench.peers.task import spec_of
from bench.rows.noop import BACKLOG
from bench.rows.row import PEERS, Cell, Row, Table
from bench.run import Place, Run
from bench.sides.side import Side
from bench.topics import Shape

SIDES = ("bare", "ours", "ours-async", *PEERS)
LEAD_SECONDS, SECONDS = 2.0, 5.0
TASKS = ("0-5", "5", "20", "100")
PROCESSES = (1, 4, 8)
THREADS = (4, 16, 64, 128)
SKEWED = Shape(BACKLOG.messages, hot_every=2)
SLOW_AT = 5_000  # the number of the slow task: it begins before the time that is measured ends
QUICK = {("5", 1, 16), ("5", 4, 16)}


def _measure(task: str, processes: int, threads: int, shape: Shape = BACKLOG) -> Callable[[Place, Side], Measured]:
    bound = processes * threads * 1000 / spec_of(task).mean_ms

    def measure(place: Place, side: Side) -> Measured:
        with Run(place, side, shape, task, processes=processes, threads=threads) as run:
            measured = run.steadily(LEAD_SECONDS, SECONDS)
        return measured._replace(values={**measured.values, "share": 100 * measured.values["rate"] / bound})

    return measure


def _cell(task: str, processes: int, threads: int) -> Cell:
    on_a_cross = (processes, threads) == (4, 16) or (task == "5" and (processes == 4 or threads == 16))
    return Cell(
        f"{task} ms, {processes} x {threads}",
        SIDES,
        LEAD_SECONDS + SECONDS + 4 + processes,
        _measure(task, processes, threads),
        quick=(task, processes, threads) in QUICK,
        grid=not on_a_cross,
    )


ROW = Row(
    "b",
    "Tasks that wait",
    "A backlog; processes x threads (asyncio peers: as many at once; Java: one virtual machine with all threads). The "
    f"bound is what that many threads could do if nothing else took time. {SECONDS:g} s, from {LEAD_SECONDS:g} s after "
    "the group was complete. (What a side has fetched ahead by then is in neither of the numbers of the broker.) *Skewed*: "
    "every second message of one partition has the same key. *One of 10 s*: one task among the quick ones.",
    (
        *(_cell(task, processes, threads) for task in TASKS for processes in PROCESSES for threads in THREADS),
        Cell("5 ms, 4 x 16, skewed keys", SIDES, 15, _measure("5", 4, 16, SKEWED)),
        Cell("5 ms, 1 x 16, one of 10 s", SIDES, 12, _measure(f"5+10000@{SLOW_AT}", 1, 16)),
    ),
    (
        Table("Share of the bound, %", "share", 1, plot=True),
        Table("Ratio to what bare threads do", "rate", 3, ratio_to="bare"),
        Table("CPU of the side, µs a message", "cpu", 0, more_is_better=False),
        Table("CPU of the broker, µs a message", "broker", 1, more_is_better=None),
        Table("Bytes from the broker, a message", "bytes", 0, more_is_better=None),
        Table("Memory of the largest process, MB", "worker_mb", 0, more_is_better=False),
    ),
)
