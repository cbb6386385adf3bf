from __future__ import annotations

import json
from dataclasses import asdict

from kafka_worker.shared.ipc.snapshot import OrderReport, SlotReport, Stage, as_json
from tests.unit.reports import child, slot, snapshot


def test_a_report_is_plain_json() -> None:
    report = as_json(SlotReport(0, "running", 7, 1.0, 0.5, 0, None, -1.0, 0, child(stage=Stage.CONSUMING)))

    assert json.loads(json.dumps(report))["child"]["stage"] == "consuming"


def test_a_report_becomes_the_plain_data_that_the_standard_library_makes_of_it() -> None:
    whole = snapshot(slot(child=child()), orders=[OrderReport("orders", 3, None, "a look", "me@here", 1.0, -1.0)])

    assert as_json(whole) == asdict(whole)
