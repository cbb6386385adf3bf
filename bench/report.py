"""Pure: the results as a text."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from bench.figures import Values, exponent, medians, shares
from bench.kept import Record
from bench.rows.row import Cell, Row, Table
from bench.sides.side import Side

BEST = "**{}**"
FLOORS = ("raw", "bare")  # what others are compared with


class Results:
    """What was measured of some sides."""

    def __init__(self, records: Sequence[Record], sides: Dict[str, Side]) -> None:
        self.records = records
        self.sides = {name: side for name, side in sides.items() if any(record.side == name for record in records)}
        self._rounds: Dict[Tuple[str, str, str], List[Values]] = {}
        for record in records:
            if not record.fault:
                self._rounds.setdefault(record.key, []).append(record.values)

    def rounds(self, row: Row, cell: Cell, side: str) -> List[Values]:
        """All values of a side in a cell, in the order in which they were measured."""
        return self._rounds.get((row.letter, cell.name, side), [])

    def number(self, row: Row, cell: Cell, side: str, table: Table) -> Optional[float]:
        """What is shown: the median."""
        rounds = self.rounds(row, cell, side)
        if table.ratio_to:
            ratios = shares(rounds, self.rounds(row, cell, table.ratio_to), table.value)
            return medians([{"ratio": ratio} for ratio in ratios]).get("ratio")
        return medians(rounds).get(table.value)

    def cells(self, row: Row, table: Table) -> List[Cell]:
        """Those of which something is known."""
        return [cell for cell in row.cells if any(self.number(row, cell, side, table) is not None for side in cell.sides)]


class Behind(NamedTuple):
    """A peer does better here."""

    row: str
    cell: str
    table: str
    ours: float
    peer: str
    theirs: float


def text(results: Results, rows: Sequence[Row], facts: Dict[str, str], plots: Sequence[str]) -> str:
    """The whole of RESULTS.md. `plots`: their files, each named by its row's letter first."""
    how = "Medians of rounds; in each, the sides take turns, where nothing else is said at the end."
    lines = ["# Results", "", f"Written by `make bench`: do not edit. {how}", ""]
    lines += [f"- {name}: {fact}" for name, fact in facts.items()]
    lines += ["", "| side | what runs | what it promises |", "|---|---|---|"]
    lines += [f"| {side.title} (`{side.name}`) | {side.form} | {side.promise} |" for side in results.sides.values()]
    for row in rows:
        tables = [_table(results, row, table) for table in row.tables if results.cells(row, table)]
        if tables:
            lines += ["", f"## ({row.letter}) {row.title}", "", row.text, "", "\n\n".join(tables)]
            lines += _exponents(results, row)
            lines += [f"\n![{row.title}]({plot})" for plot in plots if plot.split("/")[-1].startswith(f"{row.letter}-")]
    return "\n".join([*lines, *_behind_lines(results, rows), *_noise_lines(results.records)]) + "\n"


def behind(results: Results, rows: Sequence[Row]) -> List[Behind]:
    """Where the best of the peers is ahead of each form of this service."""
    found = []
    for row in rows:
        for table in row.tables:
            for cell in results.cells(row, table):
                numbers = {name: results.number(row, cell, name, table) for name in results.sides if name not in FLOORS}
                known = {name: number for name, number in numbers.items() if number is not None}
                best = _best(known, table)
                ours = {name: number for name, number in known.items() if not results.sides[name].peer}
                if ours and best and results.sides[best].peer:
                    found.append(Behind(row.letter, cell.name, table.title, ours[_best(ours, table)], best, known[best]))
    return found


def shown(number: Optional[float], digits: int) -> str:
    """A number in a table."""
    return "-" if number is None else f"{number:,.{digits}f}"


def _table(results: Results, row: Row, table: Table) -> str:
    cells = results.cells(row, table)
    sides = [side for side in results.sides if any(results.number(row, cell, side, table) is not None for cell in cells)]
    lines = [f"| {table.title} | {' | '.join(sides)} |", "|---" * (len(sides) + 1) + "|"]
    for cell in cells:
        numbers = {side: results.number(row, cell, side, table) for side in sides}
        known = {side: number for side, number in numbers.items() if number is not None and side not in FLOORS}
        best = _best(known, table) if len(known) > 1 else ""
        columns = [BEST.format(shown(numbers[side], table.digits)) if side == best else shown(numbers[side], table.digits)
                   for side in sides]  # fmt: skip
        lines.append(f"| {cell.name} | {' | '.join(columns)} |")
    return "\n".join(lines)


def _best(numbers: Dict[str, float], table: Table) -> str:
    if not numbers or table.more_is_better is None:
        return ""
    return (max if table.more_is_better else min)(numbers, key=lambda side: numbers[side])


def _exponents(results: Results, row: Row) -> List[str]:
    """For each thing that grows, of the first table."""
    lines = []
    for curve in dict.fromkeys(cell.curve for cell in row.cells if cell.curve):
        numbers = [(cell.x, results.number(row, cell, "ours", row.tables[0])) for cell in row.cells if cell.curve == curve]
        points = [(x, number) for x, number in numbers if number]
        if len(points) > 1:
            lines.append(f"- {curve}, {points[0][0]:,.0f} to {points[-1][0]:,.0f}: exponent {exponent(points):.3f}")
    return ["", *lines] if lines else []


def _behind_lines(results: Results, rows: Sequence[Row]) -> List[str]:
    found = behind(results, rows)
    places = [f"- ({at.row}) {at.cell}, {at.table}: {at.ours:,.4g}, {at.peer} {at.theirs:,.4g}" for at in found]
    return ["", "## Where a peer is ahead of each form of this service", "", *(places or ["Nowhere in what was measured."])]


def _noise_lines(records: Sequence[Record]) -> List[str]:
    again = sum(record.tries - 1 for record in records)
    loud = [record for record in records if not record.quiet]
    faults = {record.key: record.fault for record in records if record.fault}
    times = sorted(record.at for record in records)
    commits = ", ".join(sorted({record.commit for record in records}))
    others = [record.others for record in records]
    said = [
        f"{len(records)} measurements, {times[0]} to {times[-1]}; commits of this service: {commits}.",
        f"Others used {median(others):.2f} cores in the median, {max(others):.2f} at most. {again} measurements were made",
        f"again because others used too much; of {len(loud)} even the quietest was not quiet.",
    ]
    unmeasured = [f"- not measured: ({row}) {cell}, {side}: {_line(why)}" for (row, cell, side), why in faults.items()]
    return ["", "## How quiet it was, and when", "", *said, *_apart_lines(records), *unmeasured]


def _apart_lines(records: Sequence[Record]) -> List[str]:
    """Of rows whose sides were measured at different times, of different commits: when, and which."""
    lines = []
    for row in dict.fromkeys(record.row for record in records):
        mine = [record for record in records if record.row == row]
        commits = list(dict.fromkeys(record.commit for record in mine))
        for commit in commits if len(commits) > 1 else ():
            of_it = [record for record in mine if record.commit == commit]
            times, sides = [record.at for record in of_it], dict.fromkeys(record.side for record in of_it)
            rounds = max(Counter(record.key for record in of_it).values())
            lines.append(f"- ({row}) {min(times)} to {max(times)}, at {commit}, rounds: {rounds}: {', '.join(sides)}")
    return ["", "Not in turns, but apart:", "", *lines, ""] if lines else []


def _line(why: str) -> str:
    return " ".join(why.split())[:300]
