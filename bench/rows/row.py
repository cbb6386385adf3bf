"""What a row of the table is: cells to measure, and how their numbers are shown."""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional, Sequence, Tuple

from bench.noise import Measured
from bench.run import Place
from bench.sides.side import Side

PEERS = ("arroyo", "aiokafka", "faststream", "plain", "java")
ALL = ("ours", *PEERS)


class Cell(NamedTuple):
    """One thing that is measured, of each of these sides."""

    name: str
    sides: Tuple[str, ...]
    seconds: float  # about how long one measurement takes, start and end included
    measure: Callable[[Place, Side], Measured]
    quick: bool = False  # a part of the quick form
    grid: bool = False  # only when all combinations are wanted
    curve: str = ""  # the growing thing this is a point of
    x: float = 0.0  # and how large it is here


class Table(NamedTuple):
    """How one number is shown: cells down, sides across."""

    title: str
    value: str
    digits: int = 0
    more_is_better: Optional[bool] = True  # None: neither
    ratio_to: str = ""  # of the value to that of this side in the same round
    plot: bool = False


class Row(NamedTuple):
    """A part of the whole table."""

    letter: str
    title: str
    text: str
    cells: Sequence[Cell]
    tables: Sequence[Table]
