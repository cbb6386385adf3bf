"""What the page keeps of events, run by node."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from kafka_worker.shared.ipc.recent import KEPT, Recent
from tests.page.by_node import said


@pytest.mark.parametrize("others", [KEPT // 2, KEPT - 20])
def test_of_events_that_come_late_or_by_thousands_the_page_keeps_what_the_service_does(tmp_path: Path, others: int) -> None:
    kinds = ["process-started", *["attempt-failed"] * 300, *(f"kind-{number}" for number in range(others))]
    script = f"""
        import {{ added }} from "./page_events.js";
        const events = {kinds}.map((event, place) => ({{ event, number: place + 1 }}));
        const told = (each) => each.reduce((events, one) => added(events, one), []).map((event) => event.number);
        console.log(JSON.stringify([told(events), told([...events.slice(150), ...events.slice(0, 150)])]));
    """
    recent = Recent(1.0)
    recent.hear({"event": kind} for kind in kinds)
    numbers: List[int] = [event["number"] for event in (recent.asked({})() or {})["events"]]

    assert said(tmp_path, script) == [numbers, numbers]
