"""The alert rules and the dashboard speak of metrics that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, List, Set

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kafka_worker.ops.views import metrics
from tests.unit.ops.views import full

ROOT = Path(__file__).parents[4]
FOLDER = ROOT / "monitoring"
OF_THE_SCRAPE = {"job", "instance"}  # labels that Prometheus itself gives
RULES = re.findall(r"- alert: (\w+)\n(.*?)(?=\n +- alert:|\Z)", (FOLDER / "alerts.yml").read_text(), re.DOTALL)
PANELS: List[Dict[str, Any]] = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
QUERIES = {
    **{name: re.split(r"\n +(?:for|labels):", rule)[0].partition("expr:")[2] for name, rule in RULES},
    **{f"{each['title']}: {target['expr']}": target["expr"] for each in PANELS for target in each["targets"]},
}
TOLD = {
    **{name: re.findall(r"\$labels\.(\w+)", rule) for name, rule in RULES},
    **{
        f"{each['title']}: {target['expr']}": re.findall(r"{{(\w+)}}", target["legendFormat"])
        for each in PANELS
        for target in each["targets"]
    },
}


def series() -> Dict[str, Dict[str, Set[str]]]:
    """Of each metric that comes out of a full snapshot its labels, and the values that each has."""
    found: Dict[str, Dict[str, Set[str]]] = {}
    for family in text_string_to_metric_families(metrics.text(full.snapshot())):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


SERIES = series()


@pytest.mark.parametrize("of", QUERIES)
def test_what_is_asked_for_comes_out_of_a_snapshot_with_the_labels_and_values_that_are_asked_for(of: str) -> None:
    query = QUERIES[of]

    asked = re.findall(r"(kafka_worker_\w+)(?:{([^}]*)})?", query)
    assert asked
    for name, matchers in asked:
        labels = SERIES[name]
        for label, value in re.findall(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', matchers):
            assert label in OF_THE_SCRAPE or set(value.split("|")) <= set(labels.get(label, ())), (name, label, value)
    known = OF_THE_SCRAPE.union(*(SERIES[name] for name, _ in asked))
    grouped = re.findall(r"by \(([^)]*)\)", query)
    assert {label for labels in grouped for label in re.split(r", *", labels)} <= known
    # What the texts name is left by the query.
    left = OF_THE_SCRAPE.union(*(re.split(r", *", labels) for labels in grouped)) if grouped else known
    assert set(TOLD[of]) <= left


def test_each_rule_is_tested_where_it_speaks_and_where_it_does_not_and_is_explained() -> None:
    names = [name for name, _ in RULES]
    tests = (FOLDER / "alerts_test.yml").read_text()
    operations = (ROOT / "docs" / "OPERATIONS.md").read_text()

    assert names == [
        "Down", "CrashLoop", "Stalled", "FallingBehind", "HeadOfLine", "MessagesLost", "Held", "BreakerOpen", "DeadLetters",
        "PoisonMessage", "NotCommitting", "PausedTooLong", "SnapshotStale",
    ]  # fmt: skip
    assert [name for name in names if f'name: "{name}"' not in tests or f'name: "{name}: not here"' not in tests] == []
    assert [name for name in names if f"| {name} |" not in operations] == []


def test_no_rule_takes_for_trouble_what_a_rebalance_or_an_operator_has_done() -> None:
    """`promtool test rules` runs them; without it at least what they leave out is there."""
    assert 'tasks_total{outcome!="dropped"}' in QUERIES["NotCommitting"]
    assert 'dead_letters_total{reason!~"death|parked"}' in QUERIES["DeadLetters"]


def test_every_metric_is_on_the_dashboard_or_in_a_rule_but_for_those_of_commands() -> None:
    asked = set(re.findall(r"kafka_worker_\w+", " ".join(QUERIES.values())))

    assert SERIES.keys() - asked == {"kafka_worker_info", "kafka_worker_committed_offset", "kafka_worker_end_offset"}
