"""Who is fenced: by another member of the same id, or by itself."""

from __future__ import annotations

import logging
from typing import Any, Dict
from unittest.mock import Mock

import pytest
from confluent_kafka import KafkaError

from kafka_worker.kafka import consumer
from kafka_worker.kafka.consumer import GroupConsumer
from kafka_worker.kafka.listener import RebalanceListener
from kafka_worker.shared.exit_codes import ExitCode
from tests.unit.fakes import TOPIC

SAID = "[thrd:main]: Consumer group session timed out (in join-state steady)"


def test_a_member_without_a_partition_knows_by_the_clients_log_that_it_may_have_fenced_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a loss nobody tells who has nothing to lose. It joins anew then, as the others do, and does not end for a session."""
    callbacks: Dict[str, Any] = {}
    client = Mock(subscribe=lambda _topics, **given: callbacks.update(given))
    monkeypatch.setattr(consumer, "create_consumer", lambda properties: callbacks.update(properties) or client)
    group, told = GroupConsumer({}, [TOPIC], RebalanceListener()), []
    for silence in (False, True):
        if silence:
            callbacks["logger"].log(logging.WARNING, "%s [%s] %s", "SESSTMOUT", "client", SAID)
        callbacks["error_cb"](KafkaError(KafkaError.FENCED_INSTANCE_ID))
        told.append((group.ending, group.lost))
    callbacks["on_assign"](client, [])

    assert told == [(ExitCode.FENCED, False), (ExitCode.FENCED, True)]
    assert not group.lost
