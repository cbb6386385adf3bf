"""MEMORY_LIMIT and large messages: little is held of them, and each gets through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, List

import pytest

from kafka_worker.shared.system.memory import LEAST_BYTES, MEBIBYTE, SUPERVISOR_BYTES
from tests.support.eventually import eventually
from tests.support.messages import Sent, message
from tests.support.oracle import Oracle
from tests.support.processes import resident_bytes

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.service import Service

pytestmark = pytest.mark.processes

SECONDS = 60.0
LARGE, HUGE = 1_000_000, 9_000_000  # bytes; the second is more than may be in flight
LIMIT = SUPERVISOR_BYTES + LEAST_BYTES


def large_messages() -> List[Sent]:
    sizes = [LARGE] * 60
    sizes[30] = HUGE
    return [message(f"{n}", f"key-{n}", sleep_ms=20, padding="x" * size) for n, size in enumerate(sizes)]


def test_large_messages_are_held_in_small_numbers_and_one_that_is_larger_than_all_allowed_goes_through(
    admin: Admin,
    topic: Callable[..., str],
    group: str,
    service: Callable[..., Service],
    record_property: Callable[..., None],
) -> None:
    name, sent = topic(partitions=4, **{"max.message.bytes": "10000000"}), large_messages()
    admin.produce(name, [each.row for each in sent], {"message.max.bytes": 10_000_000})
    running = service(name, group, processes=1, threads=2, env={"MEMORY_LIMIT": str(LIMIT)}).start().wait_ready()
    oracle, pid, memory, in_flight = Oracle(running.ledger, sent), running.children()[0], 0, 0

    while oracle.missing():
        done = len(running.ledger.done())
        memory = max(memory, resident_bytes(pid))
        in_flight = max(in_flight, running.slots()[0]["child"]["in_flight"])
        eventually(lambda done=done: len(running.ledger.done()) > done, SECONDS, "it goes on")  # type: ignore[misc]

    record_property("most MiB", memory / MEBIBYTE)
    record_property("most in flight", in_flight)
    assert memory < LEAST_BYTES
    assert in_flight < len(sent) // 3
    assert running.children() == {0: pid}  # not recycled
    assert not oracle.started_twice()
    eventually(lambda: admin.lag(group, name) == 0, SECONDS, "everything is committed")
