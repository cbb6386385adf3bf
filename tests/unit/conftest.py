"""What unit tests share: the test kit's own fixture, as those who use it have it, among it."""

from __future__ import annotations

from typing import Iterator

import pytest

from kafka_worker.handler.hooks import DEFINED, Registry
from kafka_worker.testing.fixtures import worker_for

__all__ = ["worker_for"]


@pytest.fixture
def defined() -> Iterator[Registry]:
    """The hooks that are defined: none but those of the test, and afterwards those of before."""
    before = [list(hooks) for hooks in DEFINED]
    for hooks in DEFINED:
        hooks.clear()
    yield DEFINED
    for hooks, of_before in zip(DEFINED, before):
        hooks[:] = of_before
