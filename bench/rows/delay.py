"""(c) How long a message takes from the producer to its handler."""

from __future__ import annotations

import time
from typing import Callable

from bench.figures import percentile
from bench.noise import Measured
from bench.rows.row import ALL, Cell, Row, Table
from bench.run import Place, Run
from bench.sides.side import Side
from bench.topics import Shape

WARM = 16  # messages, one in each partition: until then producer and consumer learn where to send to and to fetch from
CALM_SECONDS = 1.0  # after those
LATE_SECONDS = 3.0  # what is not done by then counts with the time that it has waited
MESSAGES = {1: 12, 100: 500, 5000: 25_000}  # by the rate
# By the rate: with 1 ms, 5,000 messages a second are more requests than a broker that shares two cores can answer, and what is
# measured is its queue.
LINGER_MS = {1: 1, 100: 1, 5000: 25}


def _measure(rate: int) -> Callable[[Place, Side], Measured]:
    shape = Shape(MESSAGES[rate] + WARM)

    def measure(place: Place, side: Side) -> Measured:
        topic = place.topics.empty(shape.partitions)
        with Run(place, side, shape, "0", topic=topic) as run:
            run.complete()
            place.topics.stream(topic, shape, WARM, range(WARM), LINGER_MS[rate])
            run.until(WARM, LATE_SECONDS)
            time.sleep(CALM_SECONDS)
            before = run.look()
            sent = place.topics.stream(topic, shape, rate, range(WARM, shape.messages), LINGER_MS[rate])
            run.until(shape.messages, LATE_SECONDS)
            after, now = run.look(), time.monotonic_ns()
            delays = [((run.marks.ended[number] or now) - at) / 1e6 for number, at in sent.items()]
        values = {"p50": percentile(delays, 0.5), "p99": percentile(delays, 0.99), "most": max(delays)}
        return Measured(values, before.moment.others(after.moment))

    return measure


ROW = Row(
    "c",
    "From the producer to the handler",
    "Milliseconds from `produce()` (`linger.ms=1`; with 5,000 a second 25) to the start of the task; one process, 16 threads, "
    "no backlog.",
    tuple(
        Cell(f"{rate:,} a second", ALL, 7 + CALM_SECONDS + count / rate, _measure(rate)) for rate, count in MESSAGES.items()
    ),
    (
        Table("Half of the messages, ms", "p50", 1, more_is_better=False),
        Table("99 % of them, ms", "p99", 1, more_is_better=False, plot=True),
        Table("The slowest, ms", "most", 0, more_is_better=False),
    ),
)
