"""Where reading begins, and what is paused before it does: of what is being assigned, and of nothing that was before."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional, Tuple
from unittest.mock import Mock

import pytest
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaError, KafkaException
from confluent_kafka import OFFSET_INVALID as NOTHING
from confluent_kafka import TopicPartition as ClientPartition

from kafka_worker.kafka import consumer
from kafka_worker.kafka.consumer import GroupConsumer
from kafka_worker.kafka.incoming.beginnings import Beginnings
from kafka_worker.kafka.listener import RebalanceListener
from kafka_worker.shared.ipc.snapshot import TopicPartition

OURS, OTHER = ("topic", 0), ("topic", 1)


def test_what_is_paused_from_the_start_is_assigned_first_though_nothing_is_told_of_it() -> None:
    """A pause before the assignment would not last. And it begins somewhere, or the client would ask where, once."""
    client: Any = Mock()
    beginnings = Beginnings({})
    beginnings.pause([OURS])

    beginnings.assign(client, [ClientPartition(*OURS), ClientPartition(*OTHER)])

    assert [name for name, *_ in client.method_calls] == ["assign", "pause"]
    assert client.pause.call_args[0] == ([ClientPartition(*OURS)],)
    assert [place.offset for place in client.assign.call_args[0][0]] == [OFFSET_BEGINNING, NOTHING]


@pytest.mark.parametrize(
    ("reset", "committed", "begins"),
    [
        ("earliest", 7, 7),
        ("earliest", NOTHING, OFFSET_BEGINNING),
        ("latest", NOTHING, OFFSET_END),
        ("error", NOTHING, NOTHING),
    ],
)
def test_a_partition_begins_at_what_is_committed_or_where_it_is_set_to(reset: str, committed: int, begins: int) -> None:
    assert Beginnings({"auto.offset.reset": reset}).of(OURS, committed) == begins


def test_what_was_known_of_one_assignment_is_forgotten_with_it() -> None:
    client: Any = Mock()
    beginnings = Beginnings({})
    beginnings.pause([OURS])
    beginnings.told([ClientPartition(*OURS, 7)])

    beginnings.clear()
    beginnings.assign(client, [ClientPartition(*OURS)])

    assert client.method_calls == []


def test_what_is_added_to_a_topic_under_a_group_that_begins_at_the_end_begins_with_its_first_message() -> None:
    """What has come since would be lost."""
    client: Any = Mock()
    beginnings = Beginnings({"auto.offset.reset": "latest"})
    beginnings.joined({"topic": 1, "missing": 0})
    beginnings.joined({"topic": 2, "later": 1})  # when it comes back

    beginnings.told([ClientPartition(*OURS, NOTHING), ClientPartition(*OTHER, NOTHING)])
    beginnings.assign(client, [ClientPartition(*OURS), ClientPartition(*OTHER)])

    assert [place.offset for place in client.assign.call_args[0][0]] == [OFFSET_END, OFFSET_BEGINNING]
    assert beginnings.of(("unheard of", 7), NOTHING) == OFFSET_END
    assert [beginnings.of(("later", number), NOTHING) for number in (0, 1)] == [OFFSET_END, OFFSET_BEGINNING]
    assert beginnings.of(("missing", 0), NOTHING) == OFFSET_BEGINNING


TOLD: Dict[TopicPartition, Tuple[int, Optional[str]]] = {OURS: (17, None)}
ERRORS: List[Tuple[int, int, Dict[TopicPartition, Tuple[int, Optional[str]]]]] = [
    (KafkaError.NOT_COORDINATOR, 4, TOLD),  # as a broker says for a moment that was frozen
    (KafkaError._TIMED_OUT, 1, {}),
    (KafkaError.GROUP_AUTHORIZATION_FAILED, 1, {}),
]


@pytest.mark.parametrize(("error", "asked", "told"), ERRORS)
def test_what_is_committed_is_asked_again_while_it_is_refused_for_a_moment(
    monkeypatch: pytest.MonkeyPatch, error: int, asked: int, told: Dict[TopicPartition, Tuple[int, Optional[str]]]
) -> None:
    """Else the client itself would ask, once: refused too, it would have the partitions wait for ever."""
    now = [100.0]
    client: Any = Mock()
    client.committed.side_effect = [*[KafkaException(KafkaError(error))] * 3, [ClientPartition(*OURS, 17)]]
    monkeypatch.setattr(consumer, "create_consumer", lambda _properties: client)
    monkeypatch.setattr(time, "sleep", lambda seconds: now.append(now.pop() + seconds))
    group = GroupConsumer({}, ["topic"], RebalanceListener(), lambda: now[0])

    assert group.committed([OURS], 1.0) == told

    patience = [call[1]["timeout"] for call in client.committed.call_args_list]
    assert len(patience) == asked
    assert patience == sorted(patience, reverse=True), "all within one second"


def test_what_is_refused_for_long_is_not_asked_for_longer_than_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    client: Any = Mock()
    client.committed.side_effect = KafkaException(KafkaError(KafkaError.NOT_COORDINATOR))
    monkeypatch.setattr(consumer, "create_consumer", lambda _properties: client)
    monkeypatch.setattr(time, "sleep", lambda seconds: now.append(now.pop() + seconds))
    group = GroupConsumer({}, ["topic"], RebalanceListener(), lambda: now[0])

    assert group.committed([OURS], 1.0) == {}
    assert now[0] < 101.0
