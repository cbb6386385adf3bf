"""When dead letters can't be stored: nothing is lost, nothing is committed past them, and it heals by itself."""

from __future__ import annotations

import base64
import json
import random
import time
from typing import TYPE_CHECKING, Callable, Iterator, List, Set

import pytest

from kafka_worker.kafka.outgoing import outbox
from tests.support.eventually import eventually
from tests.support.messages import Sent, keys_of, message
from tests.support.oracle import Oracle

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.engine import Engine
    from tests.support.service import Service

SECONDS = 60.0
PARTITIONS = 2
# How soon the producer believes that a topic does not exist; by itself after 5 s.
BELIEF = "topic.metadata.propagation.max.ms"
SMALL = {"compression.type": "zstd", "message.max.bytes": 2_000_000}  # a large message, on its way here
QUICKLY = {"KAFKA_PRODUCER_" + BELIEF.upper().replace(".", "_"): "500", "MAX_ATTEMPTS": "1"}


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What could not be stored is sent again after a moment."""
    monkeypatch.setattr(outbox, "RESEND_SECONDS", 0.3)
    yield


def problems(running: Service) -> List[str]:
    return list(running.status()["problems"])


def held(running: Engine) -> Set[int]:
    """The partitions that are, and are paused."""
    return running.held() & running.paused()


def in_each(count: int, prefix: str) -> List[Sent]:
    """So many messages for each partition."""
    keys = [keys_of(number, PARTITIONS)[0] for number in range(PARTITIONS)]
    return [message(f"{prefix}-{number}-{key}", key) for number in range(count) for key in keys]


def hopeless(count: int, prefix: str) -> List[Sent]:
    """Messages for partition 0 that are rejected, each with a key of its own."""
    return [message(f"{prefix}-{key}", key, trouble="reject") for key in keys_of(0, PARTITIONS, count)]


def test_without_a_dead_letter_topic_nothing_is_lost_and_it_goes_on_when_the_topic_is_made(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    name = topic(partitions=1)
    sent = [message("0"), message("1", key="hopeless", trouble="raise"), message("2", key="hopeless"), message("3")]
    admin.produce(name, [each.row for each in sent])
    running = service(name, group, processes=1, env=QUICKLY).start().wait_ready()

    eventually(lambda: "1 dead letter can't be stored" in " ".join(problems(running)), SECONDS, "status says so")

    held_line = f"{name}[0] is held: a dead letter can't be stored in {name}.dlq"
    eventually(lambda: held_line in " ".join(problems(running)), SECONDS, "status says which partition, and why")
    complaint = next(line for line in running.log.splitlines() if "could not be stored" in line)
    assert " ERROR " in complaint
    assert name + ".dlq" in complaint
    assert "Unknown topic" in complaint
    assert "create the topic" in complaint
    eventually(lambda: admin.committed(group, name) == {0: 1}, SECONDS, "all before the letter is committed")
    assert running.ledger.done() == ["0", "3"]  # and not the follower of the dead letter

    admin.create_topic(name + ".dlq", partitions=1)

    admin.wait_committed(group, name)
    assert [letter.key for letter in admin.records(name + ".dlq")] == [b"hopeless"]
    assert running.ledger.done() == ["0", "3", "2"]
    assert len(running.ledger.of("fail")) == 1  # sending again is not trying again
    eventually(lambda: not problems(running), SECONDS, "all is well again")


def test_a_stop_while_a_dead_letter_cannot_be_stored_does_not_wait_and_keeps_the_message(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    name = topic(partitions=1)
    sent = [message("0"), message("1", key="hopeless", trouble="raise"), message("2")]
    admin.produce(name, [each.row for each in sent])
    running = service(name, group, processes=1, env={**QUICKLY, "DRAIN_SECONDS": "60"}).start().wait_ready()
    eventually(lambda: "could not be stored" in running.log, SECONDS, "the letter could not be stored")

    running.terminate()
    running.wait(15)

    assert admin.committed(group, name) == {0: 1}
    admin.create_topic(name + ".dlq", partitions=1)
    running.start()
    admin.wait_committed(group, name)
    assert len(admin.records(name + ".dlq")) == 1
    assert running.ledger.done() == ["0", "2"]
    assert Oracle(running.ledger, sent).run_twice() == []


@pytest.mark.usefixtures("_soon")
def test_a_letter_that_is_too_large_holds_its_partition_alone_and_the_alarm_names_the_setting_to_raise(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine], caplog: pytest.LogCaptureFixture
) -> None:
    name = topic(partitions=PARTITIONS)
    letters = admin.create_topic(name + ".dlq", partitions=1, config={"max.message.bytes": "20000"})
    noise = base64.b64encode(random.Random(1).randbytes(30_000)).decode()  # cannot be compressed
    large, *small = hopeless(40, "hopeless")
    sent = [message(large.id, large.key, trouble="reject", noise=noise), *small, *in_each(20, "good")]
    admin.produce(name, [each.row for each in sent])

    running = engine(name, group).start()

    eventually(lambda: held(running) == {0}, SECONDS, "its partition is held")
    eventually(lambda: len(admin.records(letters)) == len(small), SECONDS, "the others are stored")
    alarm = next(record.getMessage() for record in caplog.records if "could not be stored" in record.getMessage())
    assert "raise max.message.bytes of that topic" in alarm
    later = in_each(20, "later")
    admin.produce(name, [each.row for each in later])
    of_others = [each for each in later if each.key != later[0].key]
    Oracle(running.ledger, of_others).wait_done(SECONDS, "other partitions go on")
    assert len(Oracle(running.ledger, later).missing()) == 20  # and this one is fetched no more

    admin.configure(letters, "max.message.bytes", "1000000")

    admin.wait_committed(group, name)
    assert len(admin.records(letters)) == 1 + len(small)
    assert Oracle(running.ledger, later).missing() == []
    eventually(lambda: not held(running), SECONDS, "nothing is held")


@pytest.mark.usefixtures("_soon")
def test_a_dead_letter_topic_that_is_deleted_and_given_back_under_load_costs_nothing(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=PARTITIONS)
    letters = admin.create_topic(name + ".dlq", partitions=1)
    before, meanwhile = hopeless(10, "before"), hopeless(10, "meanwhile")
    admin.produce(name, [each.row for each in before])
    running = engine(name, group, producer_properties={BELIEF: "500"}).start()
    admin.wait_committed(group, name)
    assert len(admin.records(letters)) == len(before)

    admin.delete_topics([letters])
    eventually(lambda: letters not in admin.topics(), SECONDS, "the topic is gone")
    good = in_each(50, "good")
    admin.produce(name, [each.row for pair in zip(meanwhile, good[:10]) for each in pair] + [each.row for each in good[10:]])
    eventually(lambda: held(running) == {0}, SECONDS, "the partition is held")
    of_others = [each for each in good if each.key != good[0].key]
    Oracle(running.ledger, of_others).wait_done(SECONDS, "other partitions go on")
    admin.create_topic(letters, partitions=1)

    admin.wait_committed(group, name)
    assert Oracle(running.ledger, good).missing() == []
    assert {letter.key for letter in admin.records(letters)} >= {each.key.encode() for each in meanwhile}
    eventually(lambda: not held(running), SECONDS, "nothing is held")


def test_a_letter_that_its_topic_does_not_take_as_it_is_stops_no_other_and_is_stored_as_it_can_be(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine], caplog: pytest.LogCaptureFixture
) -> None:
    """Kafka 4 takes no time that is more than an hour ahead, by default. And brokers refuse a batch for one of its records."""
    name = topic(partitions=PARTITIONS)
    limits = {"message.timestamp.after.max.ms": "3600000", "max.message.bytes": "60000"}
    letters = admin.create_topic(name + ".dlq", partitions=1, config=limits)
    others = hopeless(20, "hopeless")
    odd = message("odd", others[0].key, trouble="reject")
    large = message("large", others[1].key, trouble="reject", text="ab" * 500_000)
    microseconds = time.time_ns() // 1000
    admin.produce(name, [each.row for each in others[:10]], SMALL)
    admin.produce(name, [odd.row], SMALL, timestamp=microseconds)
    admin.produce(name, [each.row for each in (large, *others[10:])], SMALL)

    running = engine(name, group, producer_properties={"compression.type": "none"}).start()

    admin.wait_committed(group, name)
    stored = {json.loads(letter.value or b"")["id"]: letter for letter in admin.records(letters)}
    assert set(stored) == {each.id for each in (*others, odd, large)}
    assert dict(stored["odd"].headers)["dead-letter.timestamp"] == b"%d" % microseconds
    assert abs(stored["odd"].timestamp / 1000 - time.time()) < 600
    assert not running.held()
    assert not [record for record in caplog.records if record.levelname == "ERROR" and "stored" in record.getMessage()]
