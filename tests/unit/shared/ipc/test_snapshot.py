from __future__ import annotations

import json

from kafka_worker.shared.ipc.snapshot import SlotReport, Stage, as_json
from tests.unit.reports import child


def test_a_report_is_plain_json() -> None:
    report = as_json(SlotReport(0, "running", 7, 1.0, 0.5, 0, None, -1.0, 0, child(stage=Stage.CONSUMING)))

    assert json.loads(json.dumps(report))["child"]["stage"] == "consuming"
