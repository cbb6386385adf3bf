"""What unit tests share: the test kit's own fixture, as those who use it have it, among it."""

from __future__ import annotations

import resource
from typing import Iterator

import pytest
from hypothesis import HealthCheck, settings

from kafka_worker.handler.hooks import DEFINED, Registry
from kafka_worker.kafka.outgoing import outbox
from kafka_worker.testing.fixtures import worker_for
from tests.conftest import THREAD_SECONDS, threads
from tests.support.eventually import eventually
from tests.unit.kafka.outgoing.desk import Producer, QuickProducer

__all__ = ["worker_for"]

# Where a test does not say how many: each run draws others, few where one waits for it, many on the other Pythons
# (`tests/support/other_pythons.py`). No deadline: a busy machine is no fault.
for name, examples in ("unit", 20), ("thorough", 80):
    settings.register_profile(name, max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unit")


def _programs() -> int:
    """Of processes that were started and have ended, the page faults: each has some."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Fails one that leaves a thread behind, as elsewhere, or starts a process at all."""
    before, programs = threads(), _programs()
    yield
    eventually(lambda: threads() <= before, THREAD_SECONDS, "no thread is left behind")
    assert _programs() == programs, "who starts processes is slow: that is for tests/programs"


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
