"""What people see who type at a prompt, in an editor, or in a test that fails."""

from __future__ import annotations

from typing import List

import kafka_worker
from kafka_worker import Context
from kafka_worker.testing import TestWorker


def test_a_prompt_completes_the_public_names() -> None:
    assert set(kafka_worker.__all__) < set(dir(kafka_worker))
    assert all(hasattr(kafka_worker, name) for name in dir(kafka_worker))


def test_a_context_that_is_printed_says_which_message_it_is_of() -> None:
    said: List[str] = []

    def handle(message: object, context: Context) -> None:
        said.append(f"{context}")

    with TestWorker(handle, kafka_topic="orders") as worker:
        worker.run({}, partition=3)

    assert said == ["<Context of orders[3] offset 0, attempt 1>"]
