"""(a) What a message costs when there is nothing to do."""

from __future__ import annotations

from typing import Callable, Dict, Tuple

from bench.noise import Measured
from bench.peers.task import NOTHING
from bench.rows.row import PEERS, Cell, Row, Table
from bench.run import Place, Run
from bench.sides.side import Side
from bench.topics import Shape

BACKLOG = Shape(600_000)
SECONDS = 6.0
OURS = ("raw", "ours", "ours-none")


def _measure(ours: Dict[str, str]) -> Callable[[Place, Side], Measured]:
    def measure(place: Place, side: Side) -> Measured:
        with Run(place, side, BACKLOG, NOTHING, ours=ours) as run:
            return run.through(SECONDS)

    return measure


def _cell(name: str, sides: Tuple[str, ...], ours: Dict[str, str], *, quick: bool = False) -> Cell:
    return Cell(name, sides, SECONDS + 3, _measure(ours), quick=quick)


ROW = Row(
    "a",
    "What a message costs when there is nothing to do",
    "One process, 16 threads. A message is decoded and marked as done. `MAX_IN_FLIGHT` and the type of the message are this "
    f"service's own settings. From the first message to the last of {BACKLOG.messages:,}, or {SECONDS:g} s.",
    (
        _cell("defaults", (*OURS, "ours-async", *PEERS), {}, quick=True),
        _cell("8,000 in flight", OURS, {"MAX_IN_FLIGHT": "8000"}),
        _cell("8,000 in flight, a msgspec Struct", OURS, {"MAX_IN_FLIGHT": "8000", "HANDLER": "bench.typed_task:work"}),
    ),
    (
        Table("Messages a second", "rate", plot=True),
        Table("Ratio to raw `poll` + `consume(499)`", "rate", 3, ratio_to="raw"),
        Table("CPU of the side, µs a message", "cpu", 1, more_is_better=False),
        Table("CPU of the broker, µs a message", "broker", 1, more_is_better=False),
    ),
)
