"""The files of the page, as a browser gets them. What it looks like, eyes have to tell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, Set, get_type_hints

import pytest

from kafka_worker.ops.serve import site
from kafka_worker.ops.serve.guard import POLICY
from kafka_worker.ops.serve.history import History
from kafka_worker.shared.ipc import snapshot
from kafka_worker.shared.ipc.health import Kind
from kafka_worker.shared.ipc.recent import KEPT, MOST_OF_A_KIND
from tests.unit import reports
from tests.unit.ops.serve.asking import answer

FILES = {path.name: path.read_text() for path in Path(site.STATIC).iterdir()}
SCRIPTS = {name: text for name, text in FILES.items() if name.startswith("page") and name.endswith(".js")}
OURS = {name: text for name, text in FILES.items() if not name.startswith("uplot")}
PAGE = FILES["index.html"]

TYPES = {"html": "text/html", "css": "text/css", "js": "javascript", "txt": "text/plain"}
# What the scripts call the parts of a snapshot.
PARTS = {
    "snapshot": snapshot.Snapshot, "slot": snapshot.SlotReport, "child": snapshot.ChildReport,
    "partition": snapshot.PartitionReport, "task": snapshot.TaskReport, "condition": snapshot.Condition,
    "head": snapshot.HeadReport, "totals": snapshot.Totals,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FILES))
def test_each_file_is_served_with_its_type_and_under_the_policy(name: str) -> None:
    found = answer("/" if name == "index.html" else f"/{name}", reports.snapshot(reports.slot()))

    assert (found.status, found.body) == (200, FILES[name])
    assert TYPES[name.rpartition(".")[2]] in found.headers["content-type"]
    assert found.headers["content-security-policy"] == POLICY


def test_the_policy_lets_the_page_do_all_it_wants() -> None:
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:", PAGE), "nothing inline"
    assert not re.search(r"setAttribute\(\"style|mark\(\w+, \"style|eval\(|new Function|import\(", "".join(SCRIPTS.values()))
    assert [name for name, text in OURS.items() if re.search(r"https?:|[\"'(]//\w", text)] == [], "nothing from elsewhere"


def test_texts_of_strangers_never_become_markup() -> None:
    markup = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|srcdoc")

    assert [name for name, text in SCRIPTS.items() if markup.search(text)] == []


def test_all_that_the_page_names_is_there() -> None:
    scripts = "".join(SCRIPTS.values())
    linked = re.findall(r'(?:src|href)="([\w.]+\.\w+)"', PAGE) + re.findall(r'from "\./(.*?)"', scripts)
    ids = set(re.findall(r'\bid="(.*?)"', PAGE))

    assert set(linked) <= set(FILES)
    assert set(FILES) - {"index.html"} <= set(linked)
    assert set(re.findall(r'byId\("(.*?)"\)', scripts)) <= ids
    assert {name for names in re.findall(r'aria-labelledby="(.*?)"', PAGE) for name in names.split()} <= ids


def test_each_field_that_the_scripts_read_is_one_of_the_snapshot() -> None:
    read: Dict[str, Set[str]] = {part: set() for part in PARTS}
    for part, name in re.findall(rf"(?<![\w.])(?:\w+\.)?({'|'.join(PARTS)})\.(\w+)", "".join(SCRIPTS.values())):
        read[part].add(name)

    unknown = {f"{part}.{name}" for part, kind in PARTS.items() for name in read[part] - set(get_type_hints(kind))}
    assert unknown == set()
    assert all(read.values())


def test_each_number_of_a_chart_is_one_of_the_history() -> None:
    charts = FILES["page_charts.js"].partition("const CHARTS")[2].partition("];\nconst")[0]
    wanted = set(re.findall(r'\["(\w+)", "', charts))

    assert len(wanted) == 8
    assert wanted <= set(History().as_json())


def test_each_kind_of_problem_has_a_remedy_on_the_page() -> None:
    remedies = set(re.findall(r'^  "([a-z-]+)": \[', FILES["page_remedies.js"], re.MULTILINE))

    assert remedies == {kind.value for kind in Kind}


def test_whatever_a_message_waits_for_has_words_on_the_page() -> None:
    words = FILES["page_map.js"].partition("const WAITS = {")[2].partition("};")[0]

    assert set(re.findall(r'"([a-z-]+)": "', words)) == {each.value for each in snapshot.Waits}


def test_the_page_keeps_as_many_events_as_the_service() -> None:
    numbers = dict(re.findall(r"^const (KEPT|MOST_OF_A_KIND) = (\d+);", FILES["page_events.js"], re.MULTILINE))

    assert numbers == {"KEPT": str(KEPT), "MOST_OF_A_KIND": str(MOST_OF_A_KIND)}


def test_the_library_of_others_comes_with_its_licence() -> None:
    assert "Permission is hereby granted" in FILES["uplot.LICENSE.txt"]
    assert "v1.6.32" in FILES["uplot.js"][:100]


def test_the_documents_show_a_picture_of_it() -> None:
    root = Path(site.STATIC).resolve().parents[3]
    shown = root / "docs" / "images" / "page.png"

    assert shown.stat().st_size < 150_000
    assert "](docs/images/page.png)" in (root / "README.md").read_text()
    assert "](images/page.png)" in (root / "docs" / "OPERATIONS.md").read_text()
