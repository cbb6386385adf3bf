"""Records of tasks, on a producer that does what the test says."""

from __future__ import annotations

import logging

import pytest
from confluent_kafka import KafkaError, KafkaException

from kafka_worker.kafka.outbox import RESEND_SECONDS, ROOM_SECONDS, OutgoingRecord
from kafka_worker.partitions.task import Task
from tests.unit.kafka.desk import Desk

MISSING = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def sent(desk: Desk, offset: int = 7) -> Task:
    """A task whose record was just sent."""
    task = desk.task(offset)
    desk.outbox.send("dead letter", task, OutgoingRecord("topic.dlq", b"key", b"value", []), desk.stored.append)
    return task


def test_a_record_counts_as_stored_only_after_the_acknowledgement(desk: Desk) -> None:
    task = sent(desk)
    desk.outbox.serve()
    before = (list(desk.stored), desk.outbox.in_transit, desk.partition.flow.in_transit)

    desk.answer()

    assert before == ([], 1, 1)
    assert (desk.stored, desk.outbox.in_transit, desk.partition.flow.in_transit) == ([task], 0, 0)


def test_what_the_broker_refuses_holds_its_partition_and_is_sent_again_until_it_is_stored(desk: Desk) -> None:
    task = sent(desk)
    desk.answer(MISSING)
    refused = (list(desk.stored), desk.outbox.unstored["dead letter"], len(desk.letters), desk.partition.flow.held)

    desk.now += RESEND_SECONDS
    desk.outbox.serve()
    still_held = desk.partition.flow.held
    desk.answer()

    assert refused == ([], 1, 1, "a dead letter can't be stored in topic.dlq: Broker: Unknown topic or partition")
    assert still_held  # an attempt is no cure
    assert (desk.stored, desk.outbox.unstored["dead letter"], len(desk.letters)) == ([task], 0, 2)
    assert not desk.partition.flow.held


def test_a_partition_is_held_until_its_last_record_is_stored(desk: Desk) -> None:
    for offset in (7, 8):
        sent(desk, offset)
    desk.answer(MISSING)
    desk.now += RESEND_SECONDS
    desk.outbox.serve()
    first, second = desk.producers[0].letters[2:]

    first["on_delivery"](None, None)
    in_between = desk.partition.flow.held
    second["on_delivery"](None, None)

    assert in_between
    assert not desk.partition.flow.held


def test_what_the_client_refuses_is_sent_again_too(desk: Desk) -> None:
    sent(desk)
    desk.producers[0].refusal = [KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))]
    sent(desk, 8)
    held = desk.partition.flow.held

    desk.now += RESEND_SECONDS
    desk.outbox.serve()

    assert "topic.dlq" in held
    assert len(desk.letters) == 2
    assert desk.outbox.in_transit == 2


def test_a_full_queue_of_the_client_is_no_fault_of_the_topic_and_passes_soon(desk: Desk) -> None:
    sent(desk)
    desk.producers[0].refusal = [BufferError()]
    sent(desk, 8)
    waiting = (desk.partition.flow.held, desk.outbox.unstored["dead letter"], len(desk.letters))

    desk.now += ROOM_SECONDS
    desk.outbox.serve()

    assert waiting == ("", 0, 1)
    assert len(desk.letters) == 2


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (KafkaError.MSG_SIZE_TOO_LARGE, "raise max.message.bytes of that topic"),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, "create the topic"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "allow us to write to that topic"),
        (KafkaError.POLICY_VIOLATION, "mend the topic or the broker"),
    ],
)
def test_the_alarm_names_place_topic_reason_and_remedy(
    desk: Desk, caplog: pytest.LogCaptureFixture, code: int, remedy: str
) -> None:
    sent(desk)
    desk.answer(KafkaError(code))

    (alarm,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert alarm.getMessage().startswith("topic[0] offset 7: its dead letter could not be stored in topic.dlq: ")
    assert remedy in alarm.getMessage()


def test_nothing_is_sent_of_a_partition_that_went_away(desk: Desk) -> None:
    desk.partition.closing.forget()

    sent(desk)

    assert desk.letters == []
    assert desk.outbox.in_transit == 0


def test_what_is_refused_when_its_partition_went_away_is_forgotten(desk: Desk) -> None:
    sent(desk)
    desk.partition.closing.forget()
    desk.answer(MISSING)

    desk.now += RESEND_SECONDS
    desk.outbox.serve()

    assert len(desk.letters) == 1
    assert desk.outbox.unstored["dead letter"] == 0


def test_of_a_closed_partition_what_was_refused_is_given_up_and_what_is_on_its_way_is_not(desk: Desk) -> None:
    refused = sent(desk, 7)
    desk.answer(MISSING)
    on_its_way = sent(desk, 8)
    open_still = desk.outbox.abandon()

    desk.partition.closing.close(None)
    abandoned = desk.outbox.abandon()
    desk.answer()

    assert open_still == []
    assert abandoned == [refused]
    assert desk.stored == [on_its_way]
    assert desk.outbox.unstored["dead letter"] == 0


def test_after_a_fatal_error_another_producer_sends_what_was_not_stored(desk: Desk) -> None:
    task = sent(desk)
    desk.answer(KafkaError(KafkaError._FATAL, "out of order", fatal=True))

    desk.now += RESEND_SECONDS
    desk.outbox.serve()
    desk.answer()

    assert [len(producer.letters) for producer in desk.producers] == [1, 1]
    assert desk.stored == [task]


def test_without_a_record_there_is_no_producer(desk: Desk) -> None:
    desk.outbox.serve()

    assert desk.producers == []
