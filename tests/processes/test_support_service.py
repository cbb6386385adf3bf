"""The tests' own hold on the service: what the other process tests take for granted of it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Callable

import pytest

from tests.support.messages import between, messages
from tests.support.oracle import Oracle
from tests.support.service import Service

if TYPE_CHECKING:
    from tests.support.admin import Admin

Make = Callable[..., str]


def test_a_service_that_is_ready_works_and_stops_and_leaves_nothing(
    service: Callable[..., Service], admin: Admin, topic: Make, group: str
) -> None:
    name = topic(partitions=4)
    sent = messages(100, sleep_ms=between(1, 5))
    running = service(name, group, processes=2).start().wait_ready(partitions=4)
    oracle = Oracle(running.ledger, sent)

    admin.produce(name, [each.row for each in sent])
    oracle.wait_done(30, "all messages are done")
    children = running.children()
    running.terminate()
    code = running.wait(20)

    assert code == 0
    assert sorted(children) == [0, 1]
    assert oracle.run_twice() == []
    assert oracle.order_violations_per_key() == []
    assert {entry.pid for entry in running.ledger.of("end")} == set(children.values())
    assert admin.lag(group, name) == 0


def test_closing_takes_the_orphans_of_a_killed_supervisor_along(
    service: Callable[..., Service], topic: Make, group: str
) -> None:
    running = service(topic(partitions=2), group, processes=2).start().wait_ready()
    assert set(running.children().values()) < set(running.pids())

    running.kill()
    running.wait(10)
    running.close()

    assert running.returncode == -signal.SIGKILL
    assert running.pids() == []


def test_a_service_that_refuses_to_start_is_not_waited_for(service: Callable[..., Service], topic: Make, group: str) -> None:
    running = service(topic(), group, handler="tests.support.handlers:no_such_handler").start()

    with pytest.raises(AssertionError, match="ended with 78 before it was ready"):
        running.wait_ready()
