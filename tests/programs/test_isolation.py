"""A task process for each handler thread."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import Any, List

import pytest

from kafka_worker.handler.loading import HandlerError, Kind
from kafka_worker.isolation import isolated
from kafka_worker.isolation.isolated import handlers_of
from kafka_worker.partitions.assignment import Partition
from tests.support.task_processes import HANDLER
from tests.unit.fakes import TOPIC, Message, some_settings


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever ends all task processes later in this process has nothing to do with these."""
    monkeypatch.setattr(isolated, "_PROCESSES", {})


def test_with_isolation_only_the_task_process_imports_the_handler() -> None:
    call = handlers_of(some_settings(isolation="process", handler=HANDLER), 3).call_of_kind(Kind.THREAD)
    answers: List[Any] = []
    thread = threading.Thread(
        target=lambda: answers.append(call(Message(0, value=b'["echo", 7]'), Partition(TOPIC, 0), 1)), name="handler-0"
    )
    with contextlib.closing(call._processes["handler-0"]):
        thread.start()
        thread.join()

    assert answers == [7]
    assert HANDLER.partition(":")[0] not in sys.modules


def test_with_isolation_a_handler_that_cannot_be_loaded_is_found_before_anything_starts() -> None:
    with pytest.raises(HandlerError, match=r"HANDLER=no\.such:thing cannot be imported"):
        handlers_of(some_settings(isolation="process", handler="no.such:thing"), 0)
