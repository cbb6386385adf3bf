"""The results as pictures (SVG). matplotlib is needed for this alone: without it there are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Sequence

from bench.report import Results
from bench.rows.row import Row, Table

COLOURS = (
    "#1b6ca8", "#6fb1e0", "#c65d2e", "#3c8d5a", "#8e5ea2", "#8a8a8a", "#c9a227", "#444444", "#d98cb3", "#2aa198",
)  # fmt: skip
WIDTH, PER_CELL = 9.0, 0.9  # inches


def drawn(results: Results, rows: Sequence[Row], folder: Path) -> List[str]:
    """Draw what there is; the names of the files."""
    try:
        import matplotlib as mpl
    except ImportError:
        return []
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "bench"  # the same numbers make the same file
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for row in rows:
        for table in row.tables:
            if table.plot and len(results.sides) > 1 and results.cells(row, table):
                names.append(f"{row.letter}-{table.value}.svg")
                _save(plt, _bars(plt, results, row, table), folder / names[-1])
        if any(cell.curve for cell in row.cells) and results.cells(row, row.tables[0]):
            names.append(f"{row.letter}-growth.svg")
            _save(plt, _curves(plt, results, row), folder / names[-1])
    return names


def _bars(plt: Any, results: Results, row: Row, table: Table) -> Any:
    """Cells down, in each a bar a side."""
    cells = results.cells(row, table)
    figure, axes = plt.subplots(figsize=(WIDTH, 1.2 + PER_CELL * len(cells)))
    numbers_of = {name: [results.number(row, cell, name, table) or 0.0 for cell in cells] for name in results.sides}
    shown = {name: numbers for name, numbers in numbers_of.items() if any(numbers)}
    height = 0.85 / max(1, len(shown))
    for place, (name, numbers) in enumerate(shown.items()):
        heights = [index + place * height for index in range(len(cells))]
        axes.barh(heights, numbers, height, label=results.sides[name].title, color=COLOURS[place % len(COLOURS)])
    axes.set_yticks([index + 0.4 for index in range(len(cells))], [cell.name for cell in cells])
    axes.invert_yaxis()
    axes.set_title(f"{row.title}: {table.title}", fontsize=10)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _curves(plt: Any, results: Results, row: Row) -> Any:
    """What grows across, the first table's number up, both by logarithms."""
    table = row.tables[0]
    figure, axes = plt.subplots(figsize=(WIDTH, 4.0))
    for place, curve in enumerate(dict.fromkeys(cell.curve for cell in row.cells if cell.curve)):
        numbers = [(cell.x, results.number(row, cell, "ours", table)) for cell in row.cells if cell.curve == curve]
        points = [(x, number) for x, number in numbers if number]
        axes.plot([x for x, _ in points], [y for _, y in points], marker="o", label=curve, color=COLOURS[place])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_title(f"{row.title}: {table.title}", fontsize=10)
    axes.legend(fontsize=8)
    return figure


def _save(plt: Any, figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
