"""`DELIVERY=exactly-once` where something is in the way of one record. tests/processes/test_exactly_once.py has the deaths."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Callable

from tests.support.eventually import eventually
from tests.support.messages import message

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.engine import Engine

SECONDS = 30.0
PROMPT_SECONDS = 4.0  # by the client alone it takes twice five until it is known who is in the way


def test_a_results_topic_that_is_missing_holds_its_own_partition_at_once_and_nobody_else(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name, results = topic(partitions=2), topic(partitions=1)
    running = engine(name, group, handler="tests.support.handlers:forward", delivery="exactly-once").start()
    admin.produce(name, [message("there", to=results).row], partition=1)
    eventually(running.ledger.done, SECONDS, "the first is done")
    eventually(lambda: len(admin.records(results)) == 1, SECONDS, "its result is seen")
    began = time.monotonic()
    admin.produce(name, [message("lost", to=results + "-absent").row], partition=0)
    admin.produce(name, [message(str(number), "key", to=results).row for number in range(20)], partition=1)

    eventually(lambda: running.held() == {0}, SECONDS, "the one partition is held")
    eventually(lambda: len(admin.records(results)) == 21, SECONDS, "the results of the other are seen")

    assert time.monotonic() - began < PROMPT_SECONDS
    (held,) = (each.held for each in running.loop.report.partitions if each.held)
    assert held == f"a result can't be stored in {results}-absent: Broker: Unknown topic or partition"
    assert results + "-absent" not in admin.topics()
    admin.create_topic(results + "-absent", partitions=1)
    admin.wait_committed(group, name)
    assert len(admin.records(results + "-absent")) == 1
