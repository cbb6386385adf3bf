"""(d) When processes die, or are replaced."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
import time
from typing import Dict, Iterator, List

from bench.figures import longest_silence
from bench.noise import Measured
from bench.rows.row import ALL, Cell, Row, Table
from bench.run import Place, Run
from bench.sides.side import Side
from bench.topics import Shape

TASK = "0-200"  # of different lengths: else all is done in the order of its offsets, and hardly anything could be lost
RATE = 120.0  # messages a second; one of the two processes can do 160
SHAPE = Shape(14_000)  # more than are needed
WARM_SECONDS = 4.0
BACK_SECONDS = 90.0  # a session is over after 45 s, by default
AFTER_SECONDS = 2.0
LONGEST_SECONDS = 0.2
NANOSECONDS = 1e9


@contextlib.contextmanager
def _under_load(place: Place, side: Side) -> Iterator[Run]:
    """Two processes, and a producer that does not stop."""
    topic, ending = place.topics.empty(SHAPE.partitions), threading.Event()
    numbers = itertools.takewhile(lambda _: not ending.is_set(), range(SHAPE.messages))
    producer = threading.Thread(target=place.topics.stream, args=(topic, SHAPE, RATE, numbers), daemon=True)
    with Run(place, side, SHAPE, TASK, topic=topic, processes=2, apart=True) as run:
        run.complete()
        producer.start()
        try:
            run.first()
            time.sleep(WARM_SECONDS)
            yield run
        finally:
            ending.set()
            producer.join()


def _kill(place: Place, side: Side) -> Measured:
    with _under_load(place, side) as run:
        killed = time.monotonic_ns()
        os.kill(run.running.workers()[0], signal.SIGKILL)
        back = _back(run, killed)
        time.sleep(AFTER_SECONDS)
        return run.whole({"back": back, **_account(run, killed)})


def _roll(place: Place, side: Side) -> Measured:
    with _under_load(place, side) as run:
        if not run.running.can_roll:
            return run.whole({})
        begun = time.monotonic_ns()
        run.running.roll(run.complete)
        time.sleep(AFTER_SECONDS)
        return run.whole(_account(run, begun))


def _back(run: Run, since: int) -> float:
    """Seconds until each partition has been worked on again."""
    while time.monotonic_ns() < since + BACK_SECONDS * NANOSECONDS:
        firsts = [min(filter(since.__lt__, moments), default=0) for moments in _by_partition(run)]
        if all(firsts):
            return (max(firsts) - since) / NANOSECONDS
        time.sleep(0.2)
    return BACK_SECONDS


def _account(run: Run, since: int) -> Dict[str, float]:
    """What became of the messages."""
    now = time.monotonic_ns()
    silences = [longest_silence(moments, since, now) / NANOSECONDS for moments in _by_partition(run)]
    committed = run.place.topics.admin.committed(run.setting.group, run.setting.topic)
    time.sleep(2 * LONGEST_SECONDS)  # what runs at that moment is no loss yet
    partitions, done = run.shape.partitions, run.marks.done
    lost = sum(bytes(done[number::partitions][: offset or 0]).count(0) for number, offset in committed.items())
    return {"silence": max(silences), "again": sum(max(0, times - 1) for times in run.marks.begun), "lost": lost}


def _by_partition(run: Run) -> List[memoryview]:
    return [run.marks.ended[: run.shape.messages][number :: run.shape.partitions] for number in range(run.shape.partitions)]


ROW = Row(
    "d",
    "When processes die, or are replaced",
    f"Two processes with 16 threads each, tasks of {TASK} ms, {RATE:g} messages a second, default settings. *kill -9* hits "
    "one of the two; nobody restarts those that have nobody who does. *Roll*: this service by SIGHUP; of the others, each "
    "process is stopped by SIGTERM and another started, and when the group is complete again the next. Lost: below the "
    f"committed offset, and never done. {BACK_SECONDS:g} s: not back by then.",
    (
        Cell("kill -9", ALL, 70, _kill),
        Cell("roll", ALL, 25, _roll),
    ),
    (
        Table("Seconds until all partitions are worked on again", "back", 1, more_is_better=False),
        Table("Longest silence of a partition, s", "silence", 1, more_is_better=False, plot=True),
        Table("Tasks that were begun more than once", "again", 0, more_is_better=False),
        Table("Messages lost", "lost", 0, more_is_better=False),
    ),
)
