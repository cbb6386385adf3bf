"""What the documents say is there, and is as they say."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Iterator

import pytest

import kafka_worker
from kafka_worker.ops.views import status
from kafka_worker.shared.ipc.snapshot import HeadReport, Snapshot, Waits, WorkCount
from tests.unit import reports

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    "README.md",
    "CHANGELOG.md",
    "systemd/README.md",
    "examples/README.md",
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
]


def text_of(path: Path) -> str:
    """Without code."""
    return re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def headings(path: Path) -> Iterator[str]:
    return (line.lstrip("# ") for line in text_of(path).splitlines() if line.startswith("#"))


def anchors(path: Path) -> Iterator[str]:
    """As GitHub makes them."""
    return (re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings(path))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_link_of_a_document_leads_to_something(name: str) -> None:
    path = ROOT / name
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text_of(path)) if not re.match(r"\w+:", link)]

    broken = []
    for link in links:
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_row_of_a_table_and_no_item_of_a_list_was_broken_when_its_lines_were(name: str) -> None:
    lines = text_of(ROOT / name).splitlines()

    assert [line for line in lines if line.startswith("| ") and not line.endswith("|")] == []
    assert [line for line in lines if re.search(r"[.):`] - [A-Z`*]", line) or line.endswith(". -")] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_all_rows_of_a_table_have_as_many_cells(name: str) -> None:
    tables = re.findall(r"(?:^\|.*\n)+", text_of(ROOT / name), flags=re.MULTILINE)
    heads = {row: table.splitlines()[0] for table in tables for row in table.splitlines()}

    assert [row for row, head in heads.items() if cells(row) != cells(head)] == []


def cells(row: str) -> int:
    return len(re.findall(r"(?<!\\)\|", row)) - 1


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_a_document_shows_to_be_copied_is_python_and_says_where_our_names_come_from(name: str) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / name).read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)

    for nodes in [list(ast.walk(ast.parse(block))) for block in blocks]:
        imported = {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
        used = {node.id for node in nodes if isinstance(node, ast.Name)}
        assert used.intersection(kafka_worker.__all__) <= imported


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_part_that_a_document_sends_its_reader_to_is_there(name: str) -> None:
    path = ROOT / name

    named = re.findall(r'\b[Ss]ee "([^"]+)"', text_of(path))

    assert set(named) <= set(headings(path))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_lines_of_prose_are_no_longer_than_those_of_code(name: str) -> None:
    lines = text_of(ROOT / name).splitlines()

    assert [line for line in lines if len(line) > 127 and not line.startswith("|")] == []  # rows of tables can't be broken


def example() -> Snapshot:
    """Three troubles at once."""
    place = reports.PARTITION._replace(partition=3, in_flight=402, queued=2, done_beyond=878, lag=1280, lag_seconds=341.0)
    head = HeadReport(120, Waits.RUNNING, 340.0, "customer-9", 1.5, 1, 340.0, "handler-2", followers=399)
    task = reports.TASK._replace(partition=3, offset=120, attempt=1, thread="handler-2", seconds=340.0)
    stuck = reports.child(partitions=[place._replace(head=head)], tasks=[task], done=5120, rate=31.0)
    away = reports.child(partitions=[reports.PARTITION._replace(partition=7)], breakers=[reports.BREAKER], done=4970, rate=0.0)
    return reports.snapshot(
        reports.slot(0, child=stuck, uptime=3720.0),
        reports.slot(1, child=away, uptime=3720.0),
        reports.slot(
            2, pid=0, state="backoff", uptime=0.0, child=None, restarts=5, failures=5, restart_in=0.7,
            last_exit="killed by SIGSEGV", restart_reasons={"crash": 5},
        ),
        restarts=5, utilization=0.984,
        work=[WorkCount("tasks", "orders", "done", 10090), WorkCount("attempts_failed", "orders", "ValueError", 2)],
    )  # fmt: skip


def test_what_the_document_shows_of_status_is_what_status_says() -> None:
    said = "\n".join(line.rstrip() for line in status.text(example()).splitlines())

    assert f"```\n{said}\n```" in (ROOT / "docs" / "OPERATIONS.md").read_text("utf-8"), said
