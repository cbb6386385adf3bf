"""The properties of the schema registry's client, as SCHEMA_REGISTRY_ variables give them, and what is wrong with them. Pure;
written down for the same reason as those of librdkafka.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping

from kafka_worker.shared.configuration import near
from kafka_worker.shared.settings import REGISTRY_GROUP, REGISTRY_PREFIX, environment_name

if TYPE_CHECKING:
    from kafka_worker.shared.configuration.given import Given, Key

NUMBERS = ("timeout", "cache.capacity", "cache.latest.ttl.sec", "max.retries", "retries.wait.ms", "retries.max.wait.ms")
PROPERTIES = (
    "url", "basic.auth.user.info", "proxy", "ssl.ca.location", "ssl.certificate.location", "ssl.key.location",
    "ssl.key.password", "bearer.auth.credentials.source", "bearer.auth.token", "bearer.auth.logical.cluster",
    "bearer.auth.identity.pool.id", "bearer.auth.client.id", "bearer.auth.client.secret", "bearer.auth.scope",
    "bearer.auth.issuer.endpoint.url", *NUMBERS,
)  # fmt: skip
FORMATS = {"avro": "AVRO", "json-schema": "JSON", "protobuf": "PROTOBUF"}  # by DECODER, what the registry calls them
NOT_FOUND = (40401, 40402, 40403)  # what it says of subject, version and schema, and no proxy before it
_DEFAULTS: Dict[str, Any] = {"timeout": 5, "max.retries": 0}  # who fails is tried again: see `SchemaRegistry.look_up`


def client_properties(given: Mapping[str, str]) -> Dict[str, Any]:
    """Those that a client is made with."""
    return {**_DEFAULTS, **{name: float(value) if name in NUMBERS else value for name, value in given.items()}}


def nearest(name: str) -> str:
    """The known property most like this name, which is none; empty: none comes near."""
    return near.nearest(name, PROPERTIES, near.LIKE_LETTERS)


def problem(name: str, value: str) -> str:
    """What is wrong with a property; empty: nothing that is known here."""
    known = "" if name in PROPERTIES else nearest(name)
    if known:
        meant = environment_name(REGISTRY_PREFIX, known)
        return f"the client of the schema registry knows no {name}; did you mean {meant}? Rename or remove it."
    if name in NUMBERS and not re.fullmatch(r"\d+(\.\d+)?", value):
        return "must be a number. Correct it."
    if name == "url" and not all(re.fullmatch(r"\s*https?://[^\s@]+", each) for each in value.split(",")):
        meant = environment_name(REGISTRY_PREFIX, "basic.auth.user.info")
        return f"must be http://host:port or https://…, several with commas; user and password go into {meant}. Correct it."
    return ""


def missing(values: Iterable[Mapping[str, Any]], given: Mapping[Key, Given]) -> List[str]:
    """What is missing for the DECODERs in these."""
    if (REGISTRY_GROUP, "url") in given:
        return []
    wanted = [name for name in dict.fromkeys(each.get("decoder") for each in values) if name in FORMATS]
    return [
        f"DECODER = {name} needs SCHEMA_REGISTRY_URL, where the registry is (http://host:port). Set it." for name in wanted
    ]
