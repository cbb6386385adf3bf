"""A Confluent Schema Registry, asked for schemas. What becomes of a message whose schema it does not give:

- It does not know the schema: `UnknownSchemaError`, an ordinary failure, because one that was registered a moment ago may not
  have reached every node of the registry. One that it has not known for `PATIENCE_SECONDS` will not come: `UndecodableError`,
  so that no key waits for the attempts of one such message after the other.
- It does not answer, or refuses us, or what answers in its place says nothing of a schema: `RegistryAwayError`,
  which no message is to blame for. Those wait whose schema is not known yet; whoever asks in vain has the others wait, too,
  instead of asking.
"""

from __future__ import annotations

import functools
import math
import re
import threading
import time
from json import JSONDecodeError
from typing import Any, Callable, Dict, NamedTuple, Tuple

from kafka_worker.handler.formats import FormatError
from kafka_worker.shared.configuration.client.registry_properties import NOT_FOUND, client_properties
from kafka_worker.shared.foreign.errors import InabilityError, UndecodableError, quoted, text_of

PAUSE_SECONDS = 2.0  # between two tries to ask a registry that is away
LONGEST_LOOK_UP = 30.0  # seconds, for whoever waits while another thread asks
PATIENCE_SECONDS = 10.0  # in which every node of a registry has heard of a schema
UNKNOWN_SECONDS = 0.25  # for which its word is taken that it does not know one: there may be thousands of such messages
STALE_SECONDS = 60.0  # after which a schema that nobody has asked for counts as new
MOST_UNKNOWN = 1000  # schemas of which is remembered that it does not know them
_OF_A_SCHEMA = re.compile(r"schemas/(ids|guids)/[^/]+|subjects/[^/]+/versions/[^/]+").fullmatch


class UnknownSchemaError(LookupError):
    """The registry does not know the schema that a message names."""


class RegistryAwayError(InabilityError):
    """The schema registry does not answer, or not to us."""


class NoRegistryError(Exception):
    """Somebody else answers in the registry's place."""


class _Unknown(NamedTuple):
    """What is remembered of a schema that the registry does not know."""

    since: float  # monotonic seconds of the first time that it said so
    told: float  # and of the last time
    text: str  # what it said


class SchemaRegistry:
    """The schema registry, for all threads of a process."""

    def __init__(self, properties: Tuple[Tuple[str, str], ...], clock: Callable[[], float] = time.monotonic) -> None:
        """Nobody is asked yet. Raises FormatError for properties that the client refuses."""
        from confluent_kafka.schema_registry import SchemaRegistryClient, SchemaRegistryError

        given = client_properties(dict(properties))
        try:
            self.client = SchemaRegistryClient(given)
        except Exception as problem:  # a wrong property, a missing file
            raise FormatError(f"the client of the schema registry refuses its properties: {text_of(problem)}") from problem
        rest: Any = self.client._rest_client  # noqa: SLF001 (what comes by it the client keeps, whatever it is)
        rest.get = functools.partial(_checked, rest.get)
        self._refused = SchemaRegistryError
        self._url = given["url"]
        self._clock = clock
        self._asking = threading.Lock()
        self._lack, self._again_at = "", -math.inf  # why it could not be asked, and when it is tried again
        # By the schema's id and subject, the one that was asked for last at the end. (In each context of a registry an id is
        # another schema's, or nobody's, and the subject says which one is meant.)
        self._unknown: Dict[Tuple[Any, str], _Unknown] = {}

    def look_up(self, schema: Any, ask: Callable[[], Any], subject: str = "") -> Any:
        """What the registry says of the schema with this id, as one of this subject. Raises UnknownSchemaError and
        RegistryAwayError, and UndecodableError for one that it has not known for long."""
        self._recall(schema, subject)
        # While it is away one thread finds out whether it is back, and none waits for that.
        lack = self._lack
        if not self._asking.acquire(timeout=0 if lack else LONGEST_LOOK_UP):
            raise RegistryAwayError(lack or f"{self._url}: no answer within {LONGEST_LOOK_UP:g} s")
        try:
            self._recall(schema, subject)  # while we waited another thread may have asked the same
            return self._asked(schema, ask, subject)
        finally:
            self._asking.release()

    def _recall(self, schema: Any, subject: str) -> None:
        unknown = self._unknown.get((schema, subject))
        if unknown is not None and self._clock() < unknown.told + UNKNOWN_SECONDS:
            raise self._why_not(schema, unknown)

    def _asked(self, schema: Any, ask: Callable[[], Any], subject: str) -> Any:
        if self._clock() < self._again_at:
            raise RegistryAwayError(self._lack)
        try:
            found = ask()
        except Exception as problem:  # whatever a client makes of whatever answers
            if not isinstance(problem, self._refused) or problem.error_code not in NOT_FOUND:
                self._lack = self.in_words(problem)
                self._again_at = self._clock() + PAUSE_SECONDS
                raise RegistryAwayError(self._lack) from None
            self._lack = ""
            raise self._why_not(schema, self._note((schema, subject), text_of(problem))) from problem
        self._lack = ""
        self._unknown.pop((schema, subject), None)
        return found

    def in_words(self, problem: Exception) -> str:
        """Why it does not answer."""
        return f"the schema registry at {self._url}: {quoted(problem)}"

    def _note(self, schema: Tuple[Any, str], text: str) -> _Unknown:
        now, known = self._clock(), self._unknown.pop(schema, None)
        if len(self._unknown) >= MOST_UNKNOWN:
            del self._unknown[next(iter(self._unknown))]
        since = known.since if known is not None and now - known.told < STALE_SECONDS else now
        unknown = self._unknown[schema] = _Unknown(since, now, text)
        return unknown

    def _why_not(self, schema: Any, unknown: _Unknown) -> Exception:
        seconds = unknown.told - unknown.since
        text = f"the schema registry at {self._url} knows no schema {schema}: {unknown.text}"
        remedy = "Its producer may use another registry: see SCHEMA_REGISTRY_URL"
        if seconds < PATIENCE_SECONDS:
            return UnknownSchemaError(f"{text}. {remedy}")
        return UndecodableError(f"{text}, and did not know it {seconds:.0f} s ago either. {remedy}")


registry_of = functools.lru_cache(maxsize=None)(SchemaRegistry)  # one for all handlers of a process


def _checked(get: Callable[..., Any], path: str, query: Any = None) -> Any:
    """What a registry answers. Raises NoRegistryError, where a schema was asked for and that is none."""
    try:
        answer = get(path, query)
    except (JSONDecodeError, UnicodeDecodeError) as problem:
        raise NoRegistryError(f"an answer that is no JSON: {text_of(problem)}") from problem
    if _OF_A_SCHEMA(path) and not (isinstance(answer, dict) and isinstance(answer.get("schema"), str) and answer["schema"]):
        raise NoRegistryError("an answer without a schema")
    return answer
