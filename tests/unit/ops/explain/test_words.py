"""Each word of what a partition waits for is told to people, too."""

from __future__ import annotations

from pathlib import Path

from kafka_worker.ops.explain import words
from kafka_worker.shared.ipc.snapshot import HeadReport, Waits
from tests.unit.reports import slot


def test_each_reason_is_told_and_is_in_the_documentation() -> None:
    text = (Path(__file__).resolve().parents[4] / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")

    told = {words.of_head(HeadReport(7, waits, 1.0), slot()) for waits in Waits}

    assert len(told) == len(Waits)
    assert [waits.value for waits in Waits if f"`{waits.value}`" not in text] == []


def test_what_more_is_known_of_it_stands_behind() -> None:
    retry = HeadReport(7, Waits.RETRY, 1.0, attempt=3, due_in=12.0)
    held = HeadReport(7, Waits.HELD, 1.0, why="it is damaged")

    assert words.of_head(retry, slot(1)) == "waits for its next attempt, attempt 3, in 12.0s (slot 1, pid 1001)"
    assert words.of_head(held, slot(1)) == "is held (slot 1, pid 1001): it is damaged"
