"""What the doctor says of a schema registry, which is really asked: a stub that speaks its interface."""

from __future__ import annotations

import sys
from typing import Any, Dict, Iterator, Optional, Tuple

import pytest

from kafka_worker.ops.doctor import registry as asking
from kafka_worker.ops.doctor.checks import examine
from kafka_worker.ops.doctor.facts import UNFRAMED, Facts, Kafka, Topic
from kafka_worker.ops.doctor.verdict import State, Verdict
from kafka_worker.shared.configuration.client.registry_properties import client_properties
from tests.support.schema_registry import NONE, SchemaRegistry
from tests.unit.fakes import some_settings


@pytest.fixture(scope="module")
def running() -> Iterator[SchemaRegistry]:
    with SchemaRegistry() as made:
        made.registered({"schema": '"string"'}, "/subjects/orders-value/versions")
        made.registered({"schema": "{}", "schemaType": "JSON"}, "/subjects/bills-value/versions")
        yield made


@pytest.fixture(scope="module")
def client(running: SchemaRegistry) -> Any:
    """One for all tests: each reads all certificates of this machine. Its libraries are imported by who runs them."""
    schema_registry = pytest.importorskip("confluent_kafka.schema_registry", reason="its libraries are not installed")
    return schema_registry.SchemaRegistryClient(client_properties({"url": running.url}))


def judged(client: Any, url: str, topic: str, schemas: Dict[str, int]) -> Verdict:
    client.clear_caches()
    settings = some_settings(topics=(topic,), decoder="avro", registry_properties={"url": url})
    kafka = Kafka(consumed={topic: Topic(1), topic + ".retry.30s": Topic(1)}, schemas=schemas)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "_client", lambda _properties: client)
        facts = Facts(settings, 0.0, kafka=kafka, registry=asking.asked(settings, kafka))
    return next(verdict for check, verdict in examine(facts) if check.name == "schema registry")


@pytest.mark.parametrize(
    ("instead", "topic", "schemas", "state", "text", "fix"),
    [
        (None, "orders", {"orders": 1}, State.OK, "schema 1, which the last message of orders has", ""),
        (None, "orders", {}, State.OK, "subject orders-value", ""),
        (None, "orders", {"orders": 17}, State.FAIL, "does not know schema 17, which the last", "that the producers of"),
        (None, "orders", {"orders": UNFRAMED}, State.FAIL, "the last message of orders is not in the", "set DECODER"),
        (None, "bills", {"bills": 2}, State.FAIL, "has, is of JSON, and DECODER = avro", "set DECODER = json-schema"),
        (None, "refunds", {}, State.WARN, "knows no subject refunds-value", "unless they have other names"),
        (NONE, "orders", {}, State.FAIL, "nobody answers at http://127.0.0.1:", "look at SCHEMA_REGISTRY_URL"),
        ((401, b"{}"), "orders", {}, State.FAIL, "does not believe who we are", "SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO"),
        ((403, b'{"error_code": 40301}'), "orders", {}, State.FAIL, "does not tell us subject", "read subject orders-value"),
        ((503, b"{}"), "orders", {}, State.FAIL, "can't answer", "look at the registry"),
        ((404, b"not here"), "orders", {}, State.FAIL, "is no schema registry", "SCHEMA_REGISTRY_URL to http://host:port"),
        ((404, b'{"error_code": "NO_SUCH"}'), "orders", {}, State.FAIL, "is no schema registry", "the path below which it is"),
        ((200, b"<html>"), "orders", {}, State.FAIL, "is no schema registry", "SCHEMA_REGISTRY_URL to http://host:port"),
        ((200, b"{}"), "orders", {}, State.FAIL, "is no schema registry", "SCHEMA_REGISTRY_URL to http://host:port"),
    ],
)
def test_what_is_wrong_with_a_registry_or_what_it_knows_is_said_with_what_mends_it(
    running: SchemaRegistry, client: Any, instead: Optional[Tuple[int, bytes]], topic: str, schemas: Dict[str, int],
    state: State, text: str, fix: str,
) -> None:  # fmt: skip
    running.instead = instead
    try:
        found = judged(client, running.url, topic, schemas)
    finally:
        running.instead = None

    assert (found.state, text in found.text, fix in found.fix) == (state, True, True), found


def test_a_library_that_is_missing_is_told_by_the_check_of_the_handler_and_here_nothing_is_asked() -> None:
    settings = some_settings(topics=("orders",), decoder="avro", registry_properties={"url": "http://registry"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "confluent_kafka.schema_registry", None)
        asked = asking.asked(settings, Kafka())

    found = {check.name: each for check, each in examine(Facts(settings, 0.0, registry=asked))}

    assert found["schema registry"].state is State.SKIPPED
