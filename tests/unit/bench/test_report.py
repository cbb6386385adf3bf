from __future__ import annotations

from typing import Any

from bench.kept import Record
from bench.noise import Measured
from bench.report import Results, behind, text
from bench.rows.row import Cell, Row, Table
from bench.sides.table import SIDES

RATE = Table("Rate", "rate", ratio_to="raw", digits=2)
COST = Table("Cost", "cpu", more_is_better=False)


def cell(name: str, **changes: Any) -> Cell:
    return Cell(name, ("raw", "ours", "arroyo"), 1.0, lambda *_: Measured({}, 0.0), **changes)


ROW = Row(
    "x", "Speed", "As fast as it goes.", (cell("one", curve="things", x=1), cell("ten", curve="things", x=10)), (COST, RATE)
)
FACTS = {"Machine": "a small one"}


def record(side: str, name: str = "one", fault: str = "", **values: float) -> Record:
    return Record("x", name, side, values, fault=fault, at="2026-01-01", commit="abc")


def results(*records: Record) -> Results:
    return Results(records, SIDES)


def test_the_best_of_each_line_stands_out_and_ratios_are_medians_of_rounds() -> None:
    shown = text(
        results(
            record("raw", rate=100.0), record("ours", rate=25.0, cpu=9.0), record("arroyo", rate=50.0, cpu=30.0),
            record("raw", rate=200.0), record("ours", rate=70.0, cpu=11.0),
        ),
        [ROW], FACTS, ["plots/x-rate.svg", "plots/y-rate.svg"],
    )  # fmt: skip

    assert "| Cost | ours | arroyo |\n|---|---|---|\n| one | **10** | 30 |" in shown
    assert "| Rate | raw | ours | arroyo |\n|---|---|---|---|\n| one | 1.00 | 0.30 | **0.50** |" in shown
    assert "- Machine: a small one" in shown
    assert "![Speed](plots/x-rate.svg)" in shown
    assert "y-rate" not in shown


def test_where_a_peer_is_ahead_is_told() -> None:
    found = behind(results(record("ours", cpu=9.0), record("arroyo", cpu=8.0), record("raw", cpu=1.0)), [ROW])

    assert [(each.cell, each.ours, each.peer, each.theirs) for each in found] == [("one", 9.0, "arroyo", 8.0)]
    assert behind(results(record("ours", cpu=9.0), record("arroyo", cpu=10.0)), [ROW]) == []


def test_a_peer_is_ahead_where_it_is_so_of_each_form_of_this_service() -> None:
    row = ROW._replace(cells=(Cell("one", ("ours", "ours-async", "aiokafka"), 1.0, lambda *_: Measured({}, 0.0)),))
    forms = (record("ours", cpu=9.0), record("ours-async", cpu=7.0))

    ahead = [behind(results(*forms, record("aiokafka", cpu=cpu)), [row]) for cpu in (8.0, 6.0)]

    assert [[(each.ours, each.theirs) for each in found] for found in ahead] == [[], [(7.0, 6.0)]]


def test_what_was_measured_apart_is_told_and_only_that() -> None:
    later = record("ours", cpu=1.0)._replace(at="2026-01-02", commit="def")

    apart, together = (
        text(results(first, record("arroyo", cpu=2.0)), [ROW], FACTS, []) for first in (later, record("ours", cpu=1.0))
    )

    assert all(
        line in apart
        for line in (
            "- (x) 2026-01-02 to 2026-01-02, at def, rounds: 1: ours\n",
            "- (x) 2026-01-01 to 2026-01-01, at abc, rounds: 1: arroyo\n",
        )
    )
    assert "apart" not in together


def test_what_grows_has_its_exponent() -> None:
    shown = text(results(record("ours", "one", cpu=5.0), record("ours", "ten", cpu=50.0)), [ROW], FACTS, [])

    assert "- things, 1 to 10: exponent 1.000" in shown


def test_what_was_not_measured_or_not_quiet_is_told() -> None:
    loud = record("ours", cpu=1.0)._replace(tries=3, quiet=False, others=0.8)

    shown = text(results(loud, record("java", fault="javac is not\ninstalled")), [ROW], FACTS, [])

    assert "2 measurements were made again" in shown.replace("\n", " ")
    assert "of 1 even the quietest was not quiet" in shown
    assert "- not measured: (x) one, java: javac is not installed" in shown
