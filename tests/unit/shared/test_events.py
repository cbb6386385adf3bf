"""The vocabulary of events: words that programs go by."""

from __future__ import annotations

import re
from pathlib import Path

from kafka_worker.shared.events import FIELDS, Event, about

PRODUCT = Path(__file__).resolve().parents[3] / "worker"


def test_each_word_is_one_and_told_somewhere() -> None:
    told = set(re.findall(r"\bEvent\.([A-Z_]+)\b", "".join(path.read_text("utf-8") for path in PRODUCT.rglob("*.py"))))

    assert told == set(Event.__members__)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", event.value) for event in Event)
    assert [event.value.replace("-", "_").upper() for event in Event] == list(Event.__members__)


def test_what_is_not_known_is_not_told() -> None:
    assert about(Event.ATTEMPT_FAILED, topic="orders", reason=None) == {"event": "attempt-failed", "topic": "orders"}
    assert "topic" in FIELDS
