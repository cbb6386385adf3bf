"""The client of the schema registry of the command `check`: asks it what a message of each topic would have it asked."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, List, Mapping, Optional

from kafka_worker.ops.doctor.facts import NO_REGISTRY, UNFRAMED, Kafka, Told
from kafka_worker.shared.configuration.client.registry_properties import FORMATS, client_properties
from kafka_worker.shared.foreign.errors import class_of, text_of
from kafka_worker.shared.routes import RETRY_MARK
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.topic_settings import PATTERN

REFUSED = (0, HTTPStatus.UNAUTHORIZED)  # of one topic, and so of all


def asked(settings: Settings, kafka: Kafka) -> Optional[List[Told]]:
    """What it says of each topic whose messages it describes. None: it can't be asked, for which the handler's check has the
    reason."""
    names = [name for name in kafka.consumed or settings.topics if RETRY_MARK not in name and not name.startswith(PATTERN)]
    wanted = {name: settings.of(name).decoder for name in names if settings.of(name).decoder in FORMATS}
    try:
        client = _client(settings.registry_properties) if wanted else None
    except Exception:  # a library that is missing, a property that is refused
        return None
    found: List[Told] = []
    for topic, decoder in wanted.items():
        found.append(_of(client, topic, decoder, kafka.schemas.get(topic)))
        if found[-1].status in REFUSED:
            break
    return found


def _client(properties: Mapping[str, str]) -> Any:
    from confluent_kafka.schema_registry import SchemaRegistryClient

    return SchemaRegistryClient(client_properties(properties))


def _of(client: Any, topic: str, decoder: str, schema: Optional[int]) -> Told:
    """What the last message of a topic names; where there is none, the subject that the first one would be of."""
    subject = f"{topic}-value"
    if schema is None:
        return _answered(Told(topic, decoder, f"subject {subject}"), lambda: client.get_latest_version(subject).schema)
    if schema == UNFRAMED:
        return Told(topic, decoder, "", status=HTTPStatus.OK)
    about = f"schema {schema}, which the last message of {topic} has"
    return _answered(Told(topic, decoder, about, schema), lambda: client.get_schema(schema, subject))


def _answered(told: Told, ask: Any) -> Told:
    try:
        schema = ask()
        kind = (schema.schema_type or "AVRO") if schema.schema_str else ""
        return told._replace(status=HTTPStatus.OK if kind else NO_REGISTRY, kind=kind, text="an answer without a schema")
    except Exception as problem:  # whatever a client makes of whatever answers
        name, text = class_of(problem), text_of(problem)
        if name == "SchemaRegistryError":
            status, code = getattr(problem, "http_status_code", NO_REGISTRY), getattr(problem, "error_code", 0)
            return told._replace(status=int(status), code=code if isinstance(code, int) else 0, text=text)
        if name == "OAuthTokenError":
            return told._replace(status=HTTPStatus.UNAUTHORIZED, text=text)
        status = NO_REGISTRY if isinstance(problem, (ValueError, TypeError, LookupError, AttributeError)) else 0
        return told._replace(status=status, text=f"{name}: {text}")
