"""Records of tasks, on a producer that does what the test says."""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, Optional

import pytest
from confluent_kafka import KafkaError, KafkaException

from kafka_worker.kafka import consumer
from kafka_worker.kafka.outgoing import outbox
from kafka_worker.kafka.outgoing.outbox import ROOM_SECONDS, SILENT_SECONDS
from kafka_worker.kafka.outgoing.record import OutgoingRecord
from kafka_worker.kafka.outgoing.refusals import RESEND_SECONDS
from kafka_worker.kafka.outgoing.transactor import Transactor
from kafka_worker.partitions.task import Task
from tests.unit.fakes import TOPIC
from tests.unit.kafka.outgoing.desk import Desk

UNANSWERED = "a dead letter for topic.dlq has had no answer for"
MISSING = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def sent(desk: Desk, offset: int = 7) -> Task:
    """A task whose record was just sent."""
    task = desk.task(offset)
    desk.outbox.send("dead letter", task, OutgoingRecord("topic.dlq", b"key", b"value", []), desk.stored.append)
    return task


class Client:
    """One that only knows its log."""

    def __init__(self, properties: Dict[str, Any], logger: Optional[logging.Logger] = None) -> None:
        self.log = logger or properties["logger"]

    def init_transactions(self, _seconds: float) -> None:
        """At once."""


@pytest.mark.parametrize(
    "make", [lambda: consumer.create_consumer({}), lambda: outbox.create_producer({}), lambda: Transactor({}, Client)._begin()]
)
def test_each_client_tells_a_kind_of_trouble_once_in_a_while(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any], request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(consumer, "Consumer", Client)
    monkeypatch.setattr(outbox, "Producer", Client)
    text = f"FAIL [{request.node.name}#producer-1] [thrd:127.0.0.1:9092/bootstrap]: Connect failed: Connection refused"
    line = logging.LogRecord("librdkafka", logging.ERROR, "", 0, text, (), None)
    client = make()

    assert [bool(client.log.filter(line)) for _ in range(2)] == [True, False]


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
    refused = (list(desk.stored), desk.outbox.unstored["dead letter", TOPIC], len(desk.letters), desk.partition.flow.held)

    desk.now += RESEND_SECONDS
    desk.outbox.serve()
    still_held = desk.partition.flow.held
    desk.answer()

    unknown = "Broker: Unknown topic or partition. To mend it, create the topic"
    assert refused == ([], 1, 1, f"a dead letter can't be stored in topic.dlq: {unknown}")
    assert still_held  # an attempt is no cure
    assert (desk.stored, desk.outbox.unstored["dead letter", TOPIC], len(desk.letters)) == ([task], 0, 2)
    assert not desk.partition.flow.held


def test_what_has_no_answer_for_long_is_told_though_others_have_theirs_and_what_was_refused_is_told_as_held(
    desk: Desk,
) -> None:
    """The client sends it again and again for half a minute before it says that it can't, as with too few replicas in sync."""
    told = []
    for offset in (7, 8):
        sent(desk, offset)
        told.append(desk.outbox.trouble)
        desk.now += SILENT_SECONDS
    desk.letters[1]["on_delivery"](None, None)
    told.append(desk.outbox.trouble)
    desk.letters[0]["on_delivery"](MISSING, None)
    desk.now += RESEND_SECONDS
    desk.outbox.serve()
    desk.now += SILENT_SECONDS
    told.append(desk.outbox.trouble)

    assert [text[: len(UNANSWERED)] for text in told] == ["", UNANSWERED, UNANSWERED, ""]


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
    desk.producers[0].refusal = [KafkaException(KafkaError(KafkaError._UNKNOWN_TOPIC))]
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
    waiting = (desk.partition.flow.held, desk.outbox.unstored["dead letter", TOPIC], len(desk.letters))

    desk.now += ROOM_SECONDS
    desk.outbox.serve()

    assert waiting == ("", 0, 1)
    assert len(desk.letters) == 2


def test_what_is_larger_than_the_clients_whole_queue_does_not_wait_for_room_for_ever(desk: Desk) -> None:
    desk.refuse(0, BufferError())
    task = sent(desk)

    desk.now += ROOM_SECONDS
    desk.outbox.serve()
    desk.answer()

    usual, apart = desk.producers
    assert (len(usual.letters), len(apart.letters), desk.stored) == (0, 1, [task])
    assert apart.properties["queue.buffering.max.kbytes"] > 2_000_000


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
    desk.answer(KafkaError(code))

    (alarm,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert alarm.getMessage().startswith("topic[0] offset 7: its dead letter could not be stored in topic.dlq: ")
    assert remedy in alarm.getMessage()


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.INVALID_TIMESTAMP, KafkaError.INVALID_RECORD, KafkaError._INVALID_DIFFERENT_RECORD, KafkaError.INVALID_MSG,
        KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE, KafkaError.POLICY_VIOLATION, KafkaError.UNKNOWN,
    ],
)  # fmt: skip
def test_what_is_refused_in_company_is_sent_again_at_once_each_alone_so_that_only_the_culprit_waits(
    desk: Desk, code: int
) -> None:
    innocent, culprit, another = sent(desk, 7), sent(desk, 8), sent(desk, 9)
    desk.answer(KafkaError(code))
    together, apart = desk.producers
    at_once = (len(together.letters), len(apart.letters), desk.outbox.in_transit, desk.partition.flow.held)

    for letter in apart.letters[:]:
        letter["on_delivery"](KafkaError(code) if letter is apart.letters[1] else None, None)

    assert at_once == (3, 3, 3, "")
    assert [apart.properties[name] for name in ("batch.num.messages", "compression.type")] == [1, "zstd"]
    assert desk.stored == [innocent, another]
    assert desk.outbox.unstored["dead letter", TOPIC] == 1
    assert desk.partition.flow.held.startswith("a dead letter can't be stored in topic.dlq")
    desk.now += RESEND_SECONDS
    desk.outbox.serve()
    apart.letters[-1]["on_delivery"](None, None)
    assert (desk.stored[-1], len(together.letters), desk.partition.flow.held) == (culprit, 3, "")


@pytest.mark.parametrize("code", [KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED])
def test_what_is_wrong_with_the_topic_is_nobodys_own_fault(desk: Desk, code: int) -> None:
    sent(desk)

    desk.answer(KafkaError(code))

    assert len(desk.producers) == 1
    assert desk.partition.flow.held


def test_where_its_own_time_is_refused_it_is_stored_with_the_time_of_now(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    task = desk.task(7)
    record = OutgoingRecord("topic.dlq", b"key", b"value", [], 1_700_000_000_000_000)
    desk.outbox.send("dead letter", task, record, desk.stored.append)
    for _ in range(2):
        desk.answer(KafkaError(KafkaError.INVALID_TIMESTAMP))
    times = [letter["timestamp"] for letter in desk.letters]
    desk.answer()

    assert times == [1_700_000_000_000_000, 1_700_000_000_000_000, 0]
    assert desk.stored == [task]
    assert "goes to topic.dlq with the time of now, because its own is refused there: 1700000000000000 ms" in caplog.text
    assert not [record for record in caplog.records if record.levelno == logging.ERROR]


def test_where_even_the_time_of_now_is_refused_the_alarm_says_what_to_look_at(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    sent(desk)
    for _ in range(2):
        desk.answer(KafkaError(KafkaError.INVALID_TIMESTAMP))

    assert desk.partition.flow.held
    assert "see whether this machine's clock is right" in caplog.text


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
    assert desk.outbox.unstored["dead letter", TOPIC] == 0


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
    assert desk.outbox.unstored["dead letter", TOPIC] == 0


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
