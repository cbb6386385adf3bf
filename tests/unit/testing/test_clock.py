"""The clock that a test turns is that of all that tells the time of day."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, Dict, List

import pytest

from kafka_worker.testing import TestWorker


def fails(_message: Any) -> None:
    raise ValueError


@pytest.mark.parametrize("retry_topics", [[], ["1m"]])
def test_a_dead_letter_has_the_times_of_the_clock_that_was_turned(retry_topics: List[str]) -> None:
    waits: Dict[str, Any] = {"retry_topics": retry_topics, "retry_backoff_seconds": 600, "retry_backoff_max_seconds": 600}
    began = time.time()
    with TestWorker(fails, kafka_topic="orders", max_attempts=2, **waits) as worker:
        worker.run({})
        worker.finish()
        told = dict(worker.dead_letters[0].headers)
        first, last = (datetime.fromisoformat(told[f"dead-letter.{name}-failed-at"].decode()) for name in ("first", "last"))

    assert began - 1 < first.timestamp() < began + 60
    assert 599 <= (last - first).total_seconds() <= 601
