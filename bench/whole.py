"""`python -m bench.whole`: the whole command under a backlog of any shape. How much of what its threads could do gets done,
and what a message costs, in the service and in the broker: row b of `make bench` with other numbers, and no peers.

The share is of what bare threads do that have the same tasks, in as many processes: a sleep of 5 ms takes longer than that.
What the broker uses while nobody asks it is not counted.
"""

from __future__ import annotations

import argparse
from typing import Dict, List

from bench.rows.noop import BACKLOG
from bench.run import Place, Run, warm
from bench.sides.service import RunningService
from bench.sides.side import Side
from bench.sides.table import SIDES
from bench.topics import Shape
from tests.support.kafka import Cluster

LEAD_SECONDS = 3.0  # until it runs evenly
NAMES = {"rate": "a second", "cpu": "CPU us/message", "broker": "broker CPU us/message", "bytes": "bytes from it/message"}


def measure(words: argparse.Namespace, place: Place, shape: Shape) -> Dict[str, float]:
    """One run of the service: share of what could be done, and microseconds of CPU a message."""
    ours = SIDES["ours"]._replace(start=lambda setting: RunningService(setting, words.ordering))
    bare, done = (_run(side, words, place, shape) for side in (SIDES["bare"], ours))
    share = {"share of bare threads %": 100 * done["rate"] / bare["rate"], "RSS MB": done["worker_mb"]}
    return {**{text: done[name] for name, text in NAMES.items()}, **share}


def _run(side: Side, words: argparse.Namespace, place: Place, shape: Shape) -> Dict[str, float]:
    with Run(place, side, shape, words.task_ms, processes=words.processes, threads=words.threads) as run:
        return run.steadily(LEAD_SECONDS, words.seconds).values


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
    parser.add_argument("--task-ms", default="5", help="5, or 0-5")
    parser.add_argument("--partitions", type=int, default=16)
    parser.add_argument("--value-bytes", type=int, default=177)
    parser.add_argument("--messages", type=int, default=300_000)
    parser.add_argument("--ordering", default="key")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    words = parser.parse_args()
    shape = Shape(words.messages, words.partitions, value_bytes=words.value_bytes)
    with Cluster() as cluster:
        place = Place(cluster)
        warm(place, SIDES["ours"], BACKLOG)
        print(report([measure(words, place, shape) for _ in range(words.rounds)]))


if __name__ == "__main__":
    main()
