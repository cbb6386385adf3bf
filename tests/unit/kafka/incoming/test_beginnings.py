"""Where reading begins, and what is paused before it does: of what is being assigned, and of nothing that was before."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

from confluent_kafka import TopicPartition as ClientPartition

from kafka_worker.kafka.incoming.beginnings import Beginnings

OURS, OTHER = ("topic", 0), ("topic", 1)


def test_what_is_paused_from_the_start_is_assigned_first_though_nothing_is_told_of_it() -> None:
    """A pause before the assignment would not last."""
    client: Any = Mock()
    beginnings = Beginnings({})
    beginnings.pause([OURS])

    beginnings.assign(client, [ClientPartition(*OURS), ClientPartition(*OTHER)])

    assert [name for name, *_ in client.method_calls] == ["assign", "pause"]
    assert client.pause.call_args[0] == ([ClientPartition(*OURS)],)


def test_what_was_known_of_one_assignment_is_forgotten_with_it() -> None:
    client: Any = Mock()
    beginnings = Beginnings({})
    beginnings.pause([OURS])
    beginnings.told([ClientPartition(*OURS, 7)])

    beginnings.clear()
    beginnings.assign(client, [ClientPartition(*OURS)])

    assert client.method_calls == []
