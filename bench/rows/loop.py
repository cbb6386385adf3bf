"""(g) The engine of one process alone, without the process around it."""

from __future__ import annotations

import json
import subprocess
import sys

from bench.noise import Measured
from bench.rows.noop import BACKLOG
from bench.rows.row import Cell, Row, Table
from bench.run import Place
from bench.sides.side import Side

ENGINES = {"raw": "raw", "ours": "key", "ours-none": "none"}
THREADS, IN_FLIGHT = 4, 8000


def _measure(place: Place, side: Side) -> Measured:
    topic = place.topics.filled(BACKLOG)
    command = [
        sys.executable, "-m", "bench.engine", ENGINES[side.name], "--bootstrap", place.bootstrap, "--topic", topic,
        "--messages", str(BACKLOG.messages), "--threads", str(THREADS), "--max-in-flight", str(IN_FLIGHT),
    ]  # fmt: skip
    before = place.moment([])
    said = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300).stdout)
    others = before.others(place.moment([]))
    return Measured({"rate": said["messages"] / said["seconds"], "cpu": 1e6 * said["cpu"] / said["messages"]}, others)


ROW = Row(
    "g",
    "The engine of one process alone",
    f"Tracker, lanes, pool, commits and back-pressure with a handler that does nothing, not even decode; {THREADS} threads, "
    f"`MAX_IN_FLIGHT={IN_FLIGHT}`. Its raw loop is a literal `consume(500)`, and both fetch alike: what is compared is what "
    "happens to a message, not the network.",
    (Cell("engine", tuple(ENGINES), 12, _measure, quick=True),),
    (
        Table("Ratio to raw `consume(500)`", "rate", 2, ratio_to="raw"),
        Table("CPU, µs a message", "cpu", 1, more_is_better=False),
    ),
)
