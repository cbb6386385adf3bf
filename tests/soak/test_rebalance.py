"""A member of the group that does not answer keeps all others waiting, and nobody tells but the client's statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from confluent_kafka import Consumer

from tests.support.eventually import eventually

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.engine import Engine

SECONDS = 30.0


def test_a_rebalance_that_waits_for_a_member_that_does_not_answer_is_known_until_it_ends(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=2)
    first = engine(name, group, "first", consumer_properties={"statistics.interval.ms": "50"}).start()
    strategy = {"partition.assignment.strategy": "cooperative-sticky"}
    silent = Consumer({"bootstrap.servers": admin.bootstrap, "group.id": group, **strategy})
    silent.subscribe([name])
    eventually(lambda: [silent.poll(0.05), silent.assignment()][1], SECONDS, "the other one has its share")
    eventually(lambda: first.loop.report.unsettled_at is None, SECONDS, "the group is at rest")

    engine(name, group, "second").start(wait=False)

    eventually(lambda: first.loop.report.unsettled_at is not None, SECONDS, "the rebalance is known")
    assert first.loop.report.joined
    silent.close()
    eventually(lambda: first.loop.report.unsettled_at is None, SECONDS, "its end is known")
