"""Messages that are not as they should be, among others that are: schema, typed handler and size limit together."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Callable, Dict

from tests.support.admin import Admin
from tests.support.engine import Engine
from tests.support.eventually import eventually

SECONDS = 30.0
SECRET = "4711-secret"
SCHEMA = {"properties": {"order": {"properties": {"items": {"items": {"type": "integer"}}}}}}
WRONG: Dict[bytes, Any] = {
    b"schema": {"id": "schema", "price": 1, "order": {"items": [1, 2, SECRET]}},
    b"type": {"id": "type", "price": SECRET},
    b"long": {"id": "long", "price": 1, "note": SECRET * 100},
}
REASONS = {
    b"schema": '^InvalidMessageError: /order/items/2: value is not of type "integer"$',
    b"type": "^InvalidMessageError: /price: Input should be a valid number",
    b"long": r"^TooLongError: \d{4} bytes, and MAX_MESSAGE_BYTES=500$",
    b"gone": "^InvalidMessageError: the whole message: a tombstone",
}


def test_each_invalid_message_is_a_dead_letter_at_once_with_the_place_and_all_others_are_done(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine], tmp_path: Path, caplog: Any
) -> None:
    name = topic(partitions=2)
    letters = admin.create_topic(name + ".dlq", partitions=1)
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    good = [(b"good", json.dumps({"id": f"order-{number}", "price": number}).encode(), None) for number in range(20)]
    wrong = [*((key, json.dumps(document).encode(), None) for key, document in WRONG.items()), (b"gone", None, None)]
    admin.produce(name, [*good[:10], *wrong, *good[10:]])

    running = engine(
        name, group, handler="tests.support.typed_handlers:of_order", retry_backoff_seconds=0.01,
        message_schema=str(tmp_path / "schema.json"), max_message_bytes=500,
    ).start()  # fmt: skip

    eventually(lambda: admin.lag(group, name) == 0, SECONDS, "everything is dealt with and committed")
    stored = {letter.key: letter for letter in admin.records(letters)}
    assert sorted(running.ledger.done()) == sorted(f"order-{number} for {number}.00" for number in range(20))
    assert {key: (letter.value, dict(letter.headers)["dead-letter.attempts"]) for key, letter in stored.items()} == {
        key: (value, b"1") for key, value, _ in wrong
    }
    for key, reason in REASONS.items():
        error = dict(stored[key].headers)["dead-letter.error"]
        assert isinstance(error, bytes)
        assert re.match(reason, error.decode()), error
    told = caplog.text + str([letter.headers for letter in stored.values()])
    assert SECRET not in told
    assert running.code is None  # it goes on
