"""Since when the first message that is not done should be: said of a group from outside as its members say it."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, List, Optional, Tuple

import pytest
from confluent_kafka import KafkaError, KafkaException

from kafka_worker.ops.connection import FIRST_SECONDS, NoBrokerError, OneAwayError
from kafka_worker.ops.lag import command
from kafka_worker.ops.lag.group import Group
from kafka_worker.outcomes.retry_topics import due_at
from tests.unit.fakes import TOPIC, Message, some_settings

RETRIES = TOPIC + ".retry.30s"
OURS = {
    "topic": TOPIC, "partition": 0, "offset": 3, "timestamp": 1500, "attempt": 2, "due-at": 90_000, "first-failed-at": 1500,
}  # fmt: skip
Headers = List[Tuple[str, Optional[bytes]]]
RETRIED: Headers = [("retry." + name, str(value).encode()) for name, value in OURS.items()]
SCHEDULED: Headers = [("deliver-at", b"2100-01-01T00:00Z")]
IN_2100 = 4_102_444_800.0


class InTopic(Message):
    """Of a topic that the test says."""

    def __init__(self, topic: str, headers: Headers) -> None:
        super().__init__(7)
        self._topic, self.given_headers = topic, headers

    def topic(self) -> str:
        return self._topic


class Consumer:
    """In the place of the client's: it has this one message."""

    def __init__(self, message: Message) -> None:
        self._message = message

    def assign(self, _places: Any) -> None: ...

    def incremental_unassign(self, _places: Any) -> None: ...

    def unassign(self) -> None: ...

    def consume(self, _most: int, _seconds: float) -> List[Message]:
        return [self._message]


@pytest.mark.parametrize(
    ("topic", "headers", "longest", "due"),
    [
        (TOPIC, [], 0, 1.5),
        (TOPIC, RETRIED, 0, 1.5),  # anybody may write these there
        (RETRIES, RETRIED, 0, 90.0),
        (RETRIES, [], 0, 1.5),
        (TOPIC, SCHEDULED, 0, 1.5),
        (TOPIC, SCHEDULED, 60, IN_2100),
        (RETRIES, [*RETRIED, *SCHEDULED], 60, IN_2100),
        (TOPIC, [("deliver-at", b"soon")], 60, 1.5),
    ],
)
def test_the_first_message_is_due_when_its_wait_is_over(topic: str, headers: Headers, longest: int, due: float) -> None:
    settings = some_settings(retry_topics=("30s",), deliver_at_max_seconds=float(longest))
    with Group(settings) as group:
        consumer, group._consumer = group._consumer, Consumer(InTopic(topic, headers))  # type: ignore[assignment]
        found = group.due({(topic, 0): 7})
        group._consumer = consumer

    assert found == {(topic, 0): due}
    first = TOPIC if topic == RETRIES else ""
    assert due_at(InTopic(topic, headers), first, scheduled=bool(longest)) == due


def test_headers_that_can_not_be_read_say_nothing_and_are_asked_for_once() -> None:
    message = InTopic(RETRIES, RETRIED)
    message.broken = True
    with Group(some_settings(retry_topics=("30s",), deliver_at_max_seconds=60.0)) as group:
        consumer, group._consumer = group._consumer, Consumer(message)  # type: ignore[assignment]
        found = group.due({(RETRIES, 0): 7})
        group._consumer = consumer

    assert found == {(RETRIES, 0): 1.5}
    assert not message.broken


def test_the_members_are_not_asked_for_while_the_groups_broker_does_not_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """librdkafka ends the process for that some seconds after its time is over."""

    def committed(_places: Any) -> Any:
        raise OneAwayError("the broker that has it")

    group: Any = SimpleNamespace(topics=lambda: {TOPIC: [0]}, committed=committed)  # and no `described`

    with pytest.raises(OneAwayError):
        command._run(some_settings(topics=(TOPIC,)), group, as_json=False)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("others", [False, True], ids=["no broker answers any more", "others answer"])
def test_that_no_broker_answers_any_more_is_found_once_and_not_for_each_partition(
    others: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: List[float] = []

    def asked_for_topics(_group: Group, seconds: float) -> None:
        waits.append(seconds)
        if not others:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    no_answer: Future[Any] = Future()
    no_answer.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
    told: Future[Any] = Future()
    told.set_result(SimpleNamespace(offset=7))
    client = SimpleNamespace(list_offsets=lambda places, **_: dict(zip(places, [no_answer, told, no_answer])))
    monkeypatch.setattr(Group, "_asked_for_topics", asked_for_topics)
    monkeypatch.setattr("kafka_worker.ops.lag.group.AdminClient", lambda _properties: client)

    with Group(some_settings()) as group:
        places = [(TOPIC, number) for number in range(3)]
        if others:
            assert group.ends(places) == {(TOPIC, 1): 7}
            told.result().offset = -1001  # of a leader that is silent
            assert group.ends(places) == {}
        else:
            with pytest.raises(NoBrokerError):
                group.ends(places)
            assert waits == [FIRST_SECONDS]
