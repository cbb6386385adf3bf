from __future__ import annotations

import pytest

from kafka_worker.shared.foreign.texts import counted


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [(0, "message", "0 messages"), (1, "message", "1 message"), (2, "process", "2 processes"), (1, "process", "1 process")],
)
def test_one_is_told_as_one_and_many_as_many(number: int, noun: str, said: str) -> None:
    assert counted(number, noun) == said
