"""When dead letters can't be stored: nothing is lost, nothing is committed past them, and it heals by itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Callable, List

from tests.support.eventually import eventually
from tests.support.messages import message

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.service import Service

SECONDS = 60.0
# How soon the producer believes that a topic does not exist; by itself after 5 s.
QUICKLY = {"KAFKA_PRODUCER_TOPIC_METADATA_PROPAGATION_MAX_MS": "500", "MAX_ATTEMPTS": "1"}


def problems(running: Service) -> List[str]:
    return list(running.status()["problems"])


def test_without_a_dead_letter_topic_nothing_is_lost_and_it_goes_on_when_the_topic_is_made(
    admin: Admin,
    topic: Callable[..., str],
    group: str,
    service: Callable[..., Service],
    record_property: Callable[..., None],
) -> None:
    name = topic(partitions=1)
    sent = [message("0"), message("1", key="hopeless", trouble="raise"), message("2", key="hopeless"), message("3")]
    admin.produce(name, [each.row for each in sent])
    running = service(name, group, processes=1, env=QUICKLY).start().wait_ready()
    began = time.monotonic()

    eventually(lambda: "dead letters can't be stored" in " ".join(problems(running)), SECONDS, "status says so")
    record_property("seconds until it is known that the topic is missing", time.monotonic() - began)

    complaint = next(line for line in running.log.splitlines() if "could not be stored" in line)
    assert " ERROR " in complaint
    assert name + ".dlq" in complaint
    assert "Unknown topic" in complaint
    assert "create the topic" in complaint
    eventually(lambda: admin.committed(group, name) == {0: 1}, SECONDS, "all before the letter is committed")
    assert running.ledger.done() == ["0", "3"]  # and not the follower of the dead letter

    admin.create_topic(name + ".dlq", partitions=1)

    eventually(lambda: admin.lag(group, name) == 0, SECONDS, "the letter is stored, and everything committed")
    assert [letter.key for letter in admin.records(name + ".dlq")] == [b"hopeless"]
    assert running.ledger.done() == ["0", "3", "2"]
    assert len(running.ledger.of("fail")) == 1  # sending again is not trying again
    eventually(lambda: not problems(running), SECONDS, "all is well again")


def test_a_stop_while_a_dead_letter_cannot_be_stored_keeps_the_message(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    name = topic(partitions=1)
    admin.produce(name, [message("0").row, message("1", trouble="raise").row])
    running = service(name, group, processes=1, env={**QUICKLY, "DRAIN_SECONDS": "3"}).start().wait_ready()
    eventually(lambda: "could not be stored" in running.log, SECONDS, "the letter could not be stored")

    running.terminate()
    running.wait(15)

    assert admin.committed(group, name) == {0: 1}
    admin.create_topic(name + ".dlq", partitions=1)
    running.start()
    eventually(lambda: admin.lag(group, name) == 0, SECONDS, "the letter is stored, and everything committed")
    assert len(admin.records(name + ".dlq")) == 1
