"""How a broker and we know each other: what is missing for it, and the client's words about its properties with the variables
by which they are set. Pure.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional

from kafka_worker.shared.configuration.client.librdkafka_properties import PROPERTIES
from kafka_worker.shared.settings import PROPERTY_PREFIXES, environment_name, is_secret

if TYPE_CHECKING:
    from kafka_worker.shared.configuration.given import Given, Key
    from kafka_worker.shared.settings import Settings

_NOT_ITS_OWN = "certificate could not be verified"  # says the client, also where it is of another host
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI")  # as the client writes them


def faults(given: Mapping[Key, Given], oauth: str = "") -> List[str]:
    """What is missing for a broker to learn who we are, where the client says so in other words or waits without one."""
    found = []
    askers = []
    for group in PROPERTY_PREFIXES.values():
        own = _of_client(given, group)
        protocol = own["security.protocol"].value.lower() if "security.protocol" in own else ""
        mechanism = own.get("sasl.mechanism", own.get("sasl.mechanisms"))
        credentials = own.get("sasl.username", own.get("sasl.password"))
        if protocol.startswith("sasl_") and mechanism is None and credentials is not None:
            found.append(
                f"{credentials.name} ({credentials.where}) is given, and no mechanism. Set KAFKA_CLIENT_SASL_MECHANISM to "
                "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, as the broker has it."
            )
        if mechanism is not None and mechanism.value not in MECHANISMS:
            found.append(f"{mechanism.described()} must be one of {', '.join(MECHANISMS)}{_meant(mechanism.value)}")
        if mechanism is not None and _is_by_tokens(mechanism) and not oauth and not _way_to_tokens(own):
            found.append(
                f"{mechanism.described()}: there is no way to a token. Set KAFKA_OAUTH to a function that gives one, or "
                "KAFKA_CLIENT_SASL_OAUTHBEARER_METHOD to oidc, and what belongs to it."
            )
        if _is_by_tokens(mechanism) and protocol.startswith("sasl_"):
            askers.append(own)
    return list(dict.fromkeys(found + (_in_vain(oauth, askers) if oauth else [])))


def schemes(servers: str, given: Mapping[Key, Given]) -> List[str]:
    """What addresses say of the protocol, where the client goes by another: it would pass these brokers over."""
    found = []
    for group in ("consumer_properties", "producer_properties"):
        said = _of_client(given, group).get("security.protocol")
        protocol, variable = (said.value.upper(), said.name) if said else ("PLAINTEXT", "KAFKA_CLIENT_SECURITY_PROTOCOL")
        for server in re.split(", *", servers):
            scheme, mark, address = server.partition("://")
            if mark and scheme.upper() != protocol:
                by = said.described() if said else f"{variable} is not set, which means {protocol}"
                found.append(
                    f"KAFKA_BOOTSTRAP_SERVERS has {server}, and {by}. Set {variable} to {scheme.upper()}, or write {address}."
                )
    return list(dict.fromkeys(found))


def _meant(mechanism: str) -> str:
    """What else is to be said of one that the client does not know."""
    if mechanism.upper() in MECHANISMS:
        return f"; did you mean {mechanism.upper()}?"
    return "; clouds' own ways to sign in (MSK IAM, Azure, Google) are OAUTHBEARER with KAFKA_OAUTH."


def _is_by_tokens(mechanism: Optional[Given]) -> bool:
    return mechanism is not None and mechanism.value.upper() == "OAUTHBEARER"


def _in_vain(oauth: str, askers: List[Dict[str, Given]]) -> List[str]:
    """What keeps the clients from asking the function."""
    if not askers:
        settings = "KAFKA_CLIENT_SECURITY_PROTOCOL to SASL_SSL and KAFKA_CLIENT_SASL_MECHANISM to OAUTHBEARER"
        return [f"KAFKA_OAUTH = {oauth}: no client asks it. Set {settings}."]
    others = filter(None, map(_way_to_tokens, askers))
    return [f"KAFKA_OAUTH = {oauth} and {other.described()} are two ways to a token. Remove one." for other in others]


def _way_to_tokens(own: Mapping[str, Given]) -> Optional[Given]:
    """How the client itself can get tokens; by default a program's callback has to."""
    method, unsecure = own.get("sasl.oauthbearer.method"), own.get("enable.sasl.oauthbearer.unsecure.jwt")
    if method and method.value.lower() != "default":
        return method
    return unsecure if unsecure and unsecure.value.lower() == "true" else None


def _of_client(given: Mapping[Key, Given], group: str) -> Dict[str, Given]:
    """What holds for the clients of a group: its own go before those of both."""
    return {name: each for wanted in ("client_properties", group) for (its, name), each in given.items() if its == wanted}


def forgotten(settings: Settings) -> str:
    """That what should make connections safe has no effect; empty: it has, or there is none."""
    idle = [
        environment_name(prefix, name)
        for prefix, group in PROPERTY_PREFIXES.items()
        for name in getattr(settings, group)
        if name.startswith(("sasl.", "ssl."))
        and "security.protocol" not in {**settings.client_properties, **getattr(settings, group)}
    ]
    if not idle:
        return ""
    remedy = "Set it to SASL_SSL, SSL or SASL_PLAINTEXT; or to PLAINTEXT, if that is meant"
    return (
        f"{', '.join(idle)}: without effect, as KAFKA_CLIENT_SECURITY_PROTOCOL is not set and nothing is encrypted. {remedy}"
    )


def named(text: str, settings: Settings) -> str:
    """What the client says of its properties, with the variables that these are set by."""
    variables = {
        environment_name(prefix, name): "" if is_secret(name) else " = " + json.dumps(value)
        for prefix, group in PROPERTY_PREFIXES.items()
        for name, value in getattr(settings, group).items()
        if _speaks_of(text, name)
    }
    missing = [name for name in PROPERTIES if _speaks_of(text, name) and not any(_sets(each, name) for each in variables)]
    told = [each + shown for each, shown in variables.items()] + [environment_name("KAFKA_CLIENT_", name) for name in missing]
    return f"{text} (set by {', '.join(told)})" if told else text


def refused(text: str, settings: Settings) -> str:
    """That a broker and we do not believe each other, with all that says who we are and whom we believe."""
    told = [
        environment_name(prefix, name)
        + ("" if is_secret(name) and not name.endswith("location") else " = " + json.dumps(value))
        for prefix, group in PROPERTY_PREFIXES.items()
        for name, value in getattr(settings, group).items()
        if name.startswith(("sasl.", "ssl.", "security."))
    ]
    needs = " (the broker's certificate must hold now, and for the name that we call it by)" if _NOT_ITS_OWN in text else ""
    named = ", ".join(told) or "the protocol"
    return f"{settings.bootstrap_servers} and we do not believe each other: {text}. Look at {named}{needs}"


def _speaks_of(text: str, name: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(name)}(?![\w]|\.\w)", text) is not None


def _sets(variable: str, name: str) -> bool:
    return variable in [environment_name(prefix, name) for prefix in PROPERTY_PREFIXES]
