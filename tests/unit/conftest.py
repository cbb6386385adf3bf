"""What unit tests share: the test kit's own fixture, as those who use it have it, among it."""

from __future__ import annotations

from typing import Iterator

import pytest
from hypothesis import settings

from kafka_worker.handler.hooks import DEFINED, Registry
from kafka_worker.kafka.outgoing import outbox
from kafka_worker.testing.fixtures import worker_for
from tests.unit.kafka.outgoing.desk import Producer, QuickProducer

__all__ = ["worker_for"]

# Where a test does not say how many. Each run draws others, on three Pythons. No deadline: a busy machine is no fault.
settings.register_profile("unit", max_examples=60, deadline=None)
settings.load_profile("unit")


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> Producer:
    """That of the outbox, which has all stored at once."""
    made = QuickProducer()
    monkeypatch.setattr(outbox, "Producer", lambda *_, **__: made)
    return made


@pytest.fixture
def defined() -> Iterator[Registry]:
    """The hooks that are defined: none but those of the test, and afterwards those of before."""
    before = [list(hooks) for hooks in DEFINED]
    for hooks in DEFINED:
        hooks.clear()
    yield DEFINED
    for hooks, of_before in zip(DEFINED, before):
        hooks[:] = of_before
