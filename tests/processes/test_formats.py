"""Messages of a schema registry that is away when the service starts, and comes back: the real command, and task processes."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from kafka_worker import Send
from kafka_worker.testing import TestWorker
from kafka_worker.testing.service import TestService
from tests.support.eventually import eventually
from tests.support.schema_registry import SchemaRegistry

pytest.importorskip("fastavro", reason="what requirements-schema-registry.txt names is not installed")
from tests.support.schemas import serialized

pytestmark = pytest.mark.processes

HANDLER = "tests.support.format_handlers:forward"
ORDERS = [{"id": number, "item": "tea"} for number in range(3)]


def test_a_service_waits_for_its_registry_says_so_and_goes_on_without_a_dead_letter() -> None:
    with SchemaRegistry() as registry:
        values = [serialized("avro", registry.url, "orders", order) for order in ORDERS]
        registry.be_away()
        settings: Dict[str, Any] = {
            "kafka_topic": "orders",
            "decoder": "avro",
            "schema_registry_url": registry.url,
            "max_attempts": 1,
        }
        with TestService(HANDLER, **settings) as service:
            for value in values:
                service.send(value)
            why = f"the schema registry at {registry.url}: ConnectError"
            eventually(lambda: any(why in (slot["child"] or {}).get("trouble", "") for slot in service.status()), 20, "status")
            registry.be_back()
            service.send(b"no Avro")
            service.wait_done()

            received = sorted(service.received("forwarded", 3), key=lambda sent: sent.json["id"])
            assert received == [Send("forwarded", order) for order in ORDERS]
            (letter,) = service.received("orders.dlq")
            assert (letter.value, dict(letter.headers)["dead-letter.error-class"]) == (
                b"no Avro", b"kafka_worker.shared.foreign.errors.UndecodableError",
            )  # fmt: skip


def test_in_a_task_process_too_a_registry_that_is_away_counts_no_attempt_and_ends_nothing() -> None:
    with SchemaRegistry() as registry:
        value = serialized("avro", registry.url, "orders", ORDERS[0])
        registry.be_away()
        settings: Dict[str, Any] = {
            "isolation": "process",
            "decoder": "avro",
            "schema_registry_url": registry.url,
            "max_attempts": 1,
        }
        with TestWorker(HANDLER, kafka_topic="orders", patience=30, **settings) as worker:
            result = worker.run(value)
            assert (result.state, result.attempts, type(result.error).__name__) == ("retry", 1, "RegistryAwayError")
            registry.be_back()
            eventually(lambda: _done_after_a_while(worker), 20, "it is done")
            assert (result.sent, worker.dead_letters) == ([Send("forwarded", ORDERS[0])], [])


def _done_after_a_while(worker: TestWorker) -> bool:
    """The pause between two tries is of true time in the task process."""
    worker.advance(5)
    return worker.results[0].done
