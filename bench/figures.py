"""Pure: what is made of many measurements."""

from __future__ import annotations

import math
import statistics
from typing import Dict, Iterable, List, Sequence, Tuple

Values = Dict[str, float]


def medians(rounds: Sequence[Values]) -> Values:
    """Of each number its median, over the rounds that have it."""
    names = dict.fromkeys(name for values in rounds for name in values)
    return {name: statistics.median(values[name] for values in rounds if name in values) for name in names}


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def exponent(points: Iterable[Tuple[float, float]]) -> float:
    """The b of the y = a * x**b that fits best: least squares of the logarithms. 0: what y counts does not grow with x."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    middle_x, middle_y = (statistics.fmean(each) for each in zip(*logs))
    spread = sum((x - middle_x) ** 2 for x, _ in logs)
    return sum((x - middle_x) * (y - middle_y) for x, y in logs) / spread


def longest_silence(moments: Iterable[float], begin: float, end: float) -> float:
    """The longest time between two of these moments, of those from `begin` to `end`, which count as moments, too."""
    within = [begin, *sorted(moment for moment in moments if begin < moment < end), end]
    return max(later - earlier for earlier, later in zip(within, within[1:]))


def shares(rounds: List[Values], of: List[Values], name: str) -> List[float]:
    """Round by round: this number as a share of the other side's. Rounds that only one of the two has are left out."""
    return [mine[name] / other[name] for mine, other in zip(rounds, of) if name in mine and other.get(name)]
