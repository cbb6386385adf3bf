"""Which librdkafka properties a user may set, and which belong to the service: committing, identity and
callbacks are how it keeps its promise. Pure; used by the supervisor at the start.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Dict, List, Mapping, Sequence

from kafka_worker.shared import routes
from kafka_worker.shared.configuration.client import identity, registry_properties
from kafka_worker.shared.configuration.client.librdkafka_properties import PROPERTIES, nearest
from kafka_worker.shared.settings import (
    MAX_POLL_INTERVAL_MS,
    PROPERTY_PREFIXES,
    REGISTRY_GROUP,
    SESSION_TIMEOUT_MS,
    environment_name,
    is_secret,
)

if TYPE_CHECKING:
    from kafka_worker.shared.configuration.given import Given, Key

_COMMITS = "the service commits when messages are done; COMMIT_INTERVAL_SECONDS says how often"
_IDENTITY = "the service makes one for each process, from host and slot; remove it"
# Properties the service owns, and what to do instead.
OWNED = {
    "auto.commit.enable": _COMMITS,
    "auto.commit.interval.ms": _COMMITS,
    "enable.auto.commit": _COMMITS,
    "enable.auto.offset.store": _COMMITS,
    "bootstrap.servers": "use KAFKA_BOOTSTRAP_SERVERS",
    "metadata.broker.list": "use KAFKA_BOOTSTRAP_SERVERS",
    "group.id": "use KAFKA_GROUP_ID",
    "client.id": _IDENTITY,
    "id": _IDENTITY,  # from KAFKA_CLIENT_ID
    "group.instance.id": "use MEMBERSHIP=static or dynamic",
    "transactional.id": "use DELIVERY=exactly-once",
}
_NOTHING_LOST, _ENDS = "nothing is lost only so", "the service has to know where a partition ends"
# What the service has set whatever is given: the values that say the same, and why no other will do.
FIXED = {
    "acks": (("all", "-1"), _NOTHING_LOST),
    "request.required.acks": (("all", "-1"), _NOTHING_LOST),
    "enable.idempotence": (("true",), _NOTHING_LOST),
    "enable.partition.eof": (("true",), _ENDS),
}
# What a member decides by the classic protocol only, and who decides it by the new one (KIP-848).
OF_CLASSIC_PROTOCOL = {
    "session.timeout.ms": "the brokers' group.consumer.session.timeout.ms",
    "heartbeat.interval.ms": "the brokers' group.consumer.heartbeat.interval.ms",
    "partition.assignment.strategy": "group.remote.assignor",
    "group.protocol.type": "nothing",
}
# The client takes the digits that a number begins with, and no notice of what follows: 30s would be 30 ms, and 010 would be 8.
_NUMBERS = (
    ".ms", ".bytes", ".kbytes", ".messages", ".size", ".seconds", ".records", "retries", ".flight", ".per.connection", ".ttl",
    ".relogin",
)  # fmt: skip
_NUMBER = re.compile(r"\s*[-+]?(0|[1-9][0-9]*)\s*")
_FRACTION = re.compile(r"\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*")
_FRACTIONS = dict.fromkeys(("linger.ms", "queue.buffering.max.ms"), _FRACTION)
_PREFIX = {group: prefix for prefix, group in PROPERTY_PREFIXES.items()}


def faults(given: Mapping[Key, Given], oauth: str = "") -> List[str]:
    """All that is wrong with the properties given, one line each. `oauth`: KAFKA_OAUTH."""
    found = []
    for (group, name), each in given.items():
        problem = _problem(group, name, each.value)
        if problem:
            secret = is_secret(name) or "@" in each.value  # of an address with a password in it
            found.append(f"{each.described(secret=secret)}: {problem}")
    return found + (_protocol_faults if _of_new_protocol(given) else _timeout_faults)(given) + identity.faults(given, oauth)


def contradictions(given: Mapping[Key, Given], delivery: str, handlers: Sequence[str]) -> List[str]:
    """What is wrong between them and other settings."""
    found = [
        f"DELIVERY=exactly-once reads what is committed only, and {each.name} = {each.value} does not. Remove one of them."
        for (_, name), each in given.items()
        if (name, each.value) == ("isolation.level", "read_uncommitted") and delivery == "exactly-once"
    ]
    if not _of_new_protocol(given):
        return found
    return found + [
        f"HANDLERS has the pattern {route.topic}, and group.protocol is consumer: by that, brokers match patterns, with "
        "dead-letter and retry topics among what matches. Name the topics, or use the classic protocol."
        for route in routes.parsed(handlers)
        if route.is_pattern
    ]


def usable(given: Mapping[Key, Given]) -> Dict[Key, Given]:
    """Those of which nothing wrong is known: what the client itself finds in them is another fault, not the same once more."""
    return {key: each for key, each in given.items() if not _problem(*key, each.value)}


def is_function(name: str) -> bool:
    """Whether a property takes one."""
    return name.endswith(".cb") or name == "opaque"


def _problem(group: str, name: str, value: str) -> str:
    if group == REGISTRY_GROUP:
        return registry_properties.problem(name, value)
    if is_function(name):
        instead = "use KAFKA_OAUTH" if name.startswith("oauth") else "Remove it"
        return f"{name} takes a function, which a variable cannot hold. {instead}."
    if name == "group.protocol" and value not in ("classic", "consumer"):
        return f"{name} is classic or consumer. Correct it."
    if name in OWNED:
        return f"{name} belongs to the service: {OWNED[name]}."
    fixed, why = FIXED.get(name, ((value.lower(),), ""))
    if value.lower() not in fixed:
        return f"{name} is {fixed[0]} here, as {why}. Remove it."
    if value and name.endswith(_NUMBERS) and not _FRACTIONS.get(name, _NUMBER).fullmatch(value):
        return f"{name} is a plain number, and the client would take this for another. Correct it."
    near = None if name in PROPERTIES else nearest(name)
    if near:
        meant = environment_name(_PREFIX[group], near)
        return f"librdkafka knows no {name}; did you mean {meant}? Rename or remove it."
    return ""


def _of_new_protocol(given: Mapping[Key, Given]) -> bool:
    said = {group: each.value for (group, name), each in given.items() if name == "group.protocol"}
    return said.get("consumer_properties", said.get("client_properties")) == "consumer"


def _protocol_faults(given: Mapping[Key, Given]) -> List[str]:
    """What the new protocol takes out of a member's hands."""
    return [
        f"{each.described(secret=False)}: by group.protocol=consumer it does not count; {OF_CLASSIC_PROTOCOL[name]} does. "
        "Remove it."
        for (_, name), each in given.items()
        if name in OF_CLASSIC_PROTOCOL
    ]


def _timeout_faults(given: Mapping[Key, Given]) -> List[str]:
    """Timeouts that contradict each other; librdkafka refuses the first pair only in the child, the second
    never.
    """
    consumer = _milliseconds(given)
    session = consumer.get("session.timeout.ms", SESSION_TIMEOUT_MS)
    found = []
    if consumer.get("max.poll.interval.ms", MAX_POLL_INTERVAL_MS) < session:
        found.append(_contradiction("max.poll.interval.ms", "at least", session))
    if consumer.get("heartbeat.interval.ms", 0) >= session:
        found.append(_contradiction("heartbeat.interval.ms", "below", session))
    return found


def _contradiction(name: str, relation: str, session: int) -> str:
    variable = environment_name("KAFKA_CONSUMER_", name)
    return f"{variable} must be {relation} session.timeout.ms, which is {session}. Change one of them."


def _milliseconds(given: Mapping[Key, Given]) -> Dict[str, int]:
    """The consumer's numeric properties; its own go before those of both clients."""
    values: Dict[str, int] = {}
    for wanted in ("client_properties", "consumer_properties"):
        for (group, name), each in given.items():
            if group == wanted and name.endswith(".ms") and each.value.isdecimal():
                values[name] = int(each.value)
    return values
