"""`group.protocol=consumer` (KIP-848) where the brokers do not know it. `make test-kafka4` has what works with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

import pytest

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.service import Service

pytestmark = pytest.mark.processes

SECONDS = 60.0
NEW = {
    "KAFKA_CONSUMER_GROUP_PROTOCOL": "consumer",
    "KAFKA_CONSUMER_STATISTICS_INTERVAL_MS": "200",
}  # of 5000: where it is seen


def test_brokers_that_do_not_know_the_new_protocol_are_named_at_the_start_and_by_check(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    running = service(topic(), group, processes=1, env=NEW).start()

    assert running.wait(SECONDS) == 78
    assert "they do not know group.protocol=consumer, which came with Kafka 4.0" in running.log
    assert admin.members(group) == []
    assert (
        "fail     session               group.protocol=consumer is not known to the brokers" in running.command("check").stdout
    )
