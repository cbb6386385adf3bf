"""A topic that is made anew when its leaders have changed before: what clients know of these is newer than all that they are
told of the new one's."""

from __future__ import annotations

import contextlib
import threading
from typing import Callable

import pytest
from confluent_kafka import KafkaException

from tests.support.admin import Admin
from tests.support.eventually import eventually
from tests.support.kafka import Cluster
from tests.support.messages import messages
from tests.support.oracle import Oracle
from tests.support.service import Service

SECONDS = 60.0
FROZEN_SECONDS = 5.0  # longer than a broker's session: it loses its partitions, and gets them again
PARTITIONS = 4


@pytest.mark.parametrize("lost", [False, True], ids=["at once", "when nobody has it any more"])
def test_a_topic_made_anew_is_read_by_clients_that_know_later_leaders_of_the_former_one(
    own_kafka: Cluster, group: str, service: Callable[..., Service], *, lost: bool
) -> None:
    admin = Admin(own_kafka.bootstrap)
    name = admin.create_topic(partitions=PARTITIONS)
    running = service(name, group, own_kafka.bootstrap).start().wait_ready(partitions=PARTITIONS)

    def all_done(seed: int) -> None:
        sent = messages(40, seed=seed)
        admin.produce(name, [each.row for each in sent])
        Oracle(running.ledger, sent).wait_done(SECONDS)

    all_done(1)
    own_kafka.node().freeze()
    threading.Event().wait(FROZEN_SECONDS)
    own_kafka.mend()
    running.wait_ready(partitions=PARTITIONS)
    all_done(2)  # so that the clients know of it

    def led_anew() -> bool:
        with contextlib.suppress(KafkaException):  # a broker that is back tells for a moment that nobody leads
            return min(admin.epochs(name).values()) > 0
        return False

    eventually(led_anew, SECONDS, "each partition has had another leader, or that one again")

    admin.delete_topics([name])
    eventually(lambda: name not in admin.topics(), SECONDS, "the topic is gone")
    if lost:
        eventually(lambda: not any(running.partitions().values()), SECONDS, "nobody has a partition of it")
    admin.create_topic(name, partitions=PARTITIONS)
    all_done(3)

    assert all(slot["restarts"] == 0 for slot in running.slots())
