"""Records of a dead-letter topic, as the service and the command write them."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

from kafka_worker.ops.dead_letters.letter import DeadLetterRecord, Letter
from kafka_worker.ops.dead_letters.plan import Action, marker

DLQ = "orders.dlq"
TOPICS = {"orders": [0, 1, 2, 3], DLQ: [0, 1]}
FAILED = "1970-01-02T00:00:00+00:00"


def record(
    offset: int = 17, partition: int = 1, *, value: Optional[bytes] = b"{}", key: Optional[bytes] = b"k", **ours: str
) -> DeadLetterRecord:
    said = {
        "topic": "orders", "partition": "3", "offset": "1234", "error": "TimeoutError: no answer", "attempts": "3",
        "last-failed-at": FAILED, **ours,
    }  # fmt: skip
    headers: List[Tuple[str, Any]] = [("theirs", b"1")]
    headers += [("dead-letter." + name.replace("_", "-"), text.encode()) for name, text in said.items()]
    return DeadLetterRecord(DLQ, partition, offset, 5000, key, value, headers)


def letter(times: int = 0, **changes: Any) -> Letter:
    """`times`: how often its message was replayed."""
    return Letter.of(record(**changes), "orders", {(3, 1234): times})


def marked(
    place: Tuple[int, int],
    action: Action = Action.REPLAYED,
    at: int = 99,
    to: Optional[Tuple[int, int]] = None,
    times: int = 0,
) -> DeadLetterRecord:
    made = marker(letter(times, partition=place[0], offset=place[1]), action, "2026-11-30T09:00:00Z", "anna@host", to)
    return DeadLetterRecord(made.topic, made.partition, at, 0, made.key, made.value, made.headers)
