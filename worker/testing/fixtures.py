"""Fixtures for pytest. A project's `conftest.py` asks for them:

    pytest_plugins = ["kafka_worker.testing.fixtures"]

No entry point brings them by itself: that would import the service, and put names into every test run of whoever has it
installed.
"""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterator

import pytest

from kafka_worker.testing.service import TestService
from kafka_worker.testing.worker import TestWorker


@pytest.fixture
def worker_for() -> Iterator[Callable[..., TestWorker]]:
    """`worker_for("app.tasks:handle", max_attempts=3)` is a `TestWorker`, which ends with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda *words, **settings: stack.enter_context(TestWorker(*words, **settings))


@pytest.fixture
def service_for() -> Iterator[Callable[..., TestService]]:
    """`service_for("app.tasks:handle")` is the real service on a broker of its own, a `TestService`, which ends with the
    test. What it has logged pytest shows of a test that fails."""
    with contextlib.ExitStack() as stack:

        def started(*words: Any, **settings: Any) -> TestService:
            service = TestService(*words, **settings)
            stack.callback(lambda: print(service.log))
            return stack.enter_context(service)

        yield started
