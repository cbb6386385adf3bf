"""Pure: what is measured, and in which order. Rounds go through all cells and in each cell through all sides, each round from
another side on: what changes on the machine meanwhile changes for all alike."""

from __future__ import annotations

from typing import Callable, Iterator, List, NamedTuple, Sequence

from bench.kept import Key
from bench.rows.row import Cell, Row


class Step(NamedTuple):
    """One measurement to make."""

    row: Row
    cell: Cell
    side: str

    @property
    def key(self) -> Key:
        """As it is kept."""
        return self.row.letter, self.cell.name, self.side


class Wish(NamedTuple):
    """What of the whole table."""

    rows: Sequence[Row]
    sides: Sequence[str]
    quick: bool = False  # those cells only
    grid: bool = False  # also all combinations
    cells: str = ""  # those whose names begin like this

    def cells_of(self, row: Row) -> List[Cell]:
        """The cells of a row that are wanted."""
        if self.quick:
            return [cell for cell in row.cells if cell.quick]
        all_of_them = self.grid or self.cells
        return [cell for cell in row.cells if cell.name.startswith(self.cells) and (all_of_them or not cell.grid)]

    def round(self, number: int) -> List[Step]:
        """All measurements of one round."""
        steps = []
        for row in self.rows:
            for cell in self.cells_of(row):
                sides = [side for side in cell.sides if side in self.sides]
                first = number % max(1, len(sides))
                steps += [Step(row, cell, side) for side in sides[first:] + sides[:first]]
        return steps

    def seconds(self) -> float:
        """About how long a round takes."""
        return sum(step.cell.seconds for step in self.round(0))

    def missing(self, rounds: int, measured: Callable[[Key], int]) -> Iterator[Step]:
        """What is to be measured until everything was so many times, counting what was measured before."""
        for number in range(rounds):
            for step in self.round(number):
                if measured(step.key) <= number:
                    yield step
