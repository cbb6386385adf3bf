"""Whether a broker answers, by what the client says and by what it does not."""

from __future__ import annotations

from typing import Any, List, Tuple
from unittest.mock import Mock

import pytest
from confluent_kafka import KafkaError, KafkaException

from kafka_worker.kafka.brokers import Brokers


@pytest.mark.parametrize(
    ("told", "answers", "away"),
    [
        ([("UP", 1, 10_000_000), ("UP", 2, 12_000_000), ("INIT", 0, -1)], False, True),
        ([("UP", 1, 10_000_000)], True, False),  # it was something to wait for, as a rebalance is
        ([("UP", 1, 10_000_000), ("UP", 0, 400_000)], False, False),
        ([("UP", 0, 10_000_000)], False, False),  # asked nothing
        ([("TRY_CONNECT", 1, 10_000_000)], False, False),  # the client itself knows of that
    ],
    ids=["silent", "busy", "other", "idle", "down"],
)
def test_brokers_that_are_asked_and_say_nothing_are_away_when_they_do_not_answer_us_either(
    told: List[Tuple[str, int, int]], answers: bool, away: bool
) -> None:
    listed = ", ".join(
        f'"{number}": {{ "name":"b:{number}", "state":"{state}", "waitresp_cnt":{waits}, "rx":1, "rxidle":{idle} }}'
        for number, (state, waits, idle) in enumerate(told)
    )
    client: Any = Mock()
    client.list_topics.side_effect = None if answers else KafkaException(KafkaError(KafkaError._TRANSPORT))
    brokers = Brokers(lambda: 100.0)

    brokers.hear(f'{{ "name": "us", "brokers":{{ {listed} }}, "topics":{{ }}, "cgrp": {{ "join_state": "steady" }} }}')
    brokers.ask(client)

    assert brokers.away is away


def test_who_knows_of_no_broker_asks_every_few_seconds_until_one_answers_and_then_no_more() -> None:
    now, away = [100.0], []
    client: Any = Mock()
    client.list_topics.side_effect = [KafkaException(KafkaError(KafkaError._TRANSPORT)), None]
    brokers = Brokers(lambda: now[0])
    brokers.hear('{ "brokers":{ "1": { "state":"UP", "waitresp_cnt":1, "rxidle":10000000 } }, "topics":{ } }')
    for now[0] in (100.0, 104.0, 105.0, 111.0):
        brokers.ask(client)
        away.append(brokers.away)

    brokers.down(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    client.list_topics.side_effect = None
    brokers.ask(client)

    assert [*away, brokers.away] == [True, True, False, False, False]
    assert client.list_topics.call_count == 3


@pytest.mark.parametrize("answers", [True, False])
def test_who_is_told_nothing_by_others_asks_at_once_whether_a_broker_answers(
    answers: bool, caplog: pytest.LogCaptureFixture
) -> None:
    client: Any = Mock()
    client.list_topics.side_effect = None if answers else KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    brokers = Brokers(lambda: 100.0)

    brokers.doubt()
    brokers.ask(client)

    assert brokers.away is not answers
    assert answers or "No broker answers. Waiting for one." in caplog.text


def test_fetches_of_a_partition_are_slow_while_its_own_broker_answers_few_whatever_topics_are_called() -> None:
    """Others may answer as many as ever. The last statistics are of another client, which counts anew."""
    brokers = Brokers(lambda: 100.0)
    near, far, unled = ("topics", 0), ("topics", 1), ("topics", 10)
    slow = [brokers.is_slow(near)]
    for one, other in [(40, 5), (90, 9), (91, 14), (140, 14), (3, 0)]:
        counts = zip((near, far, ("brokers", 2)), (one, other, 0))
        each = ", ".join(
            f'"b:{number}": {{ "name":"b:{number}", "nodeid":1, "state":"UP", "req": {{ "Fetch": {count}, "Metadata": 9 }}, '
            f'"toppars":{{ "{topic}-{number}": {{ "topic":"{topic}", "partition":{number}}} }} }}'
            for (topic, number), count in counts
        )
        brokers.hear(f'{{ "name": "us", "brokers":{{ {each} }}, "topics":{{ "Fetch": 99 }} }}')
        slow += [brokers.is_slow(near), brokers.is_slow(far)]

    assert slow == [False, *(False, False), *(False, True), *(True, False), *(False, True), *(True, True)]
    assert brokers.is_slow(unled)
