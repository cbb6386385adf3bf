"""The check of the schema registry. Pure."""

from __future__ import annotations

from http import HTTPStatus
from typing import Dict, Optional

from kafka_worker.ops.doctor.facts import Facts, Told
from kafka_worker.ops.doctor.verdict import State, Verdict, first_of, ok
from kafka_worker.shared.configuration.client.registry_properties import FORMATS, NOT_FOUND

ANOTHER = "set SCHEMA_REGISTRY_URL to the registry that the producers of that topic use"
DECODERS: Dict[str, str] = {kind: decoder for decoder, kind in FORMATS.items()}


def registry(facts: Facts) -> Verdict:
    if not FORMATS.keys() & {own.decoder for own in facts.settings.each()}:
        return ok("no message needs one")
    if facts.registry is None:
        return Verdict(State.SKIPPED, "needs: libraries and properties that are usable")
    url = facts.settings.registry_properties.get("url", "")
    found = [_judged(told, url) for told in facts.registry]
    known = ", ".join(told.about for told in facts.registry) or "no topic yet"
    return first_of(filter(None, found), f"{url} answers: {known}")


def _judged(told: Told, url: str) -> Optional[Verdict]:
    """What is wrong; None: nothing."""
    if told.status == HTTPStatus.OK:
        return _of_answer(told)
    if told.code in NOT_FOUND:
        if told.schema:
            return Verdict(State.FAIL, f"{url} does not know {told.about}: it would be a dead letter", ANOTHER)
        text = f"{url} knows no {told.about}, by which schemas of {told.topic} are registered usually"
        return Verdict(State.WARN, text, f"{ANOTHER}, unless they have other names for their subjects")
    if told.status == HTTPStatus.UNAUTHORIZED:
        fix = "set SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO to user:password (or SCHEMA_REGISTRY_BEARER_AUTH_…) as it knows us"
        return Verdict(State.FAIL, f"{url} does not believe who we are: {told.text}", fix)
    if told.status == HTTPStatus.FORBIDDEN:
        fix = f"give our user there the right to read subject {told.topic}-value"
        return Verdict(State.FAIL, f"{url} does not tell us {told.about}: {told.text}", fix)
    if told.status == 0:
        fix = "look at SCHEMA_REGISTRY_URL (http://host:port, or https:// with SCHEMA_REGISTRY_SSL_CA_LOCATION) and network"
        return Verdict(State.FAIL, f"nobody answers at {url}: {told.text}", fix)
    if told.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Verdict(State.FAIL, f"{url} can't answer: {told.text}", "look at the registry, and at what stands before it")
    fix = "set SCHEMA_REGISTRY_URL to http://host:port of the registry, with the path below which it is, if there is one"
    return Verdict(State.FAIL, f"what answers at {url} is no schema registry: {told.text}", fix)


def _of_answer(told: Told) -> Optional[Verdict]:
    if not told.about:
        text = f"the last message of {told.topic} is not in the wire format of a registry: it would be a dead letter"
        return Verdict(State.FAIL, text, f"set DECODER, in a table of {told.topic}, to what its producers write")
    if told.kind == FORMATS[told.decoder]:
        return None
    fix = f"set DECODER = {DECODERS.get(told.kind, 'what they are')} for that topic"
    return Verdict(State.FAIL, f"{told.about}, is of {told.kind}, and DECODER = {told.decoder}", fix)
