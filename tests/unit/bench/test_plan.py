from __future__ import annotations

from pathlib import Path
from typing import Any, List, Tuple

from bench.kept import Kept, Record
from bench.noise import Measured
from bench.plan import Wish
from bench.rows.row import Cell, Row
from bench.rows.table import ROWS
from bench.sides.table import SIDES


def cell(name: str, **changes: Any) -> Cell:
    return Cell(name, ("raw", "ours", "java"), 30.0, lambda *_: Measured({}, 0.0), **changes)


ROW = Row("x", "", "", (cell("one", quick=True), cell("two"), cell("three", grid=True)), ())


def names(wish: Wish, number: int = 0) -> List[Tuple[str, str]]:
    return [(step.cell.name, step.side) for step in wish.round(number)]


def test_a_round_goes_through_the_cells_and_begins_each_time_with_another_side() -> None:
    wish = Wish([ROW], ["ours", "java"])

    assert names(wish) == [("one", "ours"), ("one", "java"), ("two", "ours"), ("two", "java")]
    assert names(wish, 1) == [("one", "java"), ("one", "ours"), ("two", "java"), ("two", "ours")]
    assert wish.seconds() == 120.0


def test_cells_are_chosen_by_form_or_by_name() -> None:
    assert names(Wish([ROW], ["ours"], quick=True)) == [("one", "ours")]
    assert names(Wish([ROW], ["ours"], grid=True))[-1] == ("three", "ours")
    assert names(Wish([ROW], ["ours"], cells="thr")) == [("three", "ours")]


def test_what_is_kept_is_not_measured_again(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "results")
    kept.add(Record("x", "one", "ours", {"rate": 1.0}))
    kept.add(Record("x", "one", "java", {}, fault="there is none"))
    missing = [step.key for step in Wish([ROW], ["ours", "java"]).missing(2, Kept(tmp_path / "results").rounds)]

    assert missing[:2] == [("x", "two", "ours"), ("x", "two", "java")]
    assert len(missing) == 2 + 4


def test_a_line_that_an_end_by_force_cut_off_is_no_result_and_others_can_be_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "results"
    kept = Kept(path)
    kept.add(Record("x", "one", "ours", {"rate": 1.0}))
    kept.add(Record("x", "two", "ours", {"rate": 1.0}))
    with open(path, "a") as file:
        file.write('{"row": "x", "values": {}')

    again = Kept(path)
    again.add(Record("x", "three", "ours", {"rate": 1.0}))
    again.forget(lambda record: record.cell == "one")

    assert [record.cell for record in Kept(path).records] == ["two", "three"]


def test_all_rows_measure_sides_that_there_are_and_differ_in_the_names_of_their_cells() -> None:
    for row in ROWS.values():
        cells = [each.name for each in row.cells]
        assert len(cells) == len(set(cells))
        assert {side for each in row.cells for side in each.sides} <= set(SIDES)


def test_the_quick_form_takes_less_than_three_minutes() -> None:
    assert Wish(list(ROWS.values()), ["raw", "bare", "ours", "ours-none"], quick=True).seconds() < 170
