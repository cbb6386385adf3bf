"""Messages whose schema is in a Confluent Schema Registry: `DECODER=avro`, `json-schema` or `protobuf`. The wire format and
the formats themselves are confluent-kafka's own business (`pip install -r requirements-schema-registry.txt`); what becomes of
a message that can't be read is ours:

- It is not in the wire format, of another format, or does not fit its schema: `UndecodableError`, a dead letter at once.
- The registry does not know its schema: `UnknownSchemaError`, an ordinary failure, because one that was registered a moment
  ago may not have reached every node of the registry. One that it has not known for `PATIENCE_SECONDS` will not come:
  `UndecodableError`, so that no key waits for the attempts of one such message after the other.
- The registry does not answer, or refuses us, or what answers in its place says nothing of a schema: `RegistryAwayError`,
  which no message is to blame for. Those wait whose schema is not known yet; whoever asks in vain has the others wait, too,
  instead of asking. So a schema, and all that it refers to, is asked for before a message of it is decoded, and by
  `SchemaRegistry.look_up` alone.
"""

from __future__ import annotations

import functools
import math
import re
import threading
import time
from json import JSONDecodeError
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Set, Tuple

from kafka_worker.handler.context import Context
from kafka_worker.handler.decoding import WithContext, invalid
from kafka_worker.handler.formats import FormatError
from kafka_worker.handler.validation.typed import converter, takes_none, tombstone, wanted
from kafka_worker.shared.configuration.client.registry_properties import FORMATS, NOT_FOUND, client_properties
from kafka_worker.shared.foreign.errors import (
    InabilityError,
    UndecodableError,
    causes_of,
    class_of,
    described,
    names_of,
    quoted,
    text_of,
)

PAUSE_SECONDS = 2.0  # between two tries to ask a registry that is away
LONGEST_LOOK_UP = 30.0  # seconds, for whoever waits while another thread asks
PATIENCE_SECONDS = 10.0  # in which every node of a registry has heard of a schema
UNKNOWN_SECONDS = 0.25  # for which its word is taken that it does not know one: there may be thousands of such messages
STALE_SECONDS = 60.0  # after which a schema that nobody has asked for counts as new
MOST_UNKNOWN = 1000  # schemas of which is remembered that it does not know them
_LIBRARIES = ("httpx", "httpx2")  # whose errors tell of the network
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


def of_registry(name: str, hint: Any, properties: Mapping[str, str]) -> WithContext:
    """What decodes in this format for a handler with this type hint: a generated class for Protobuf; for the others a model,
    or nothing. `properties`: those of the registry's client. Raises FormatError and HintError."""
    try:
        registry = registry_of(tuple(sorted(properties.items())))
        deserializer = _deserializer(name, hint, registry.client)
    except ImportError as problem:
        install = "pip install -r requirements-schema-registry.txt, or kafka-worker[schema-registry]"
        raise FormatError(f"it needs libraries that are not here: {install} ({problem})") from problem
    decoder = RegistryDecoder(name, registry, deserializer, hint)
    return WithContext(decoder.decode, decoder.may_wait)


def _deserializer(name: str, hint: Any, client: Any) -> Any:
    from confluent_kafka.schema_registry import topic_subject_name_strategy

    conf: Dict[str, Any] = {"subject.name.strategy": topic_subject_name_strategy}  # the usual one would ask once more
    if name == "avro":
        from confluent_kafka.schema_registry.avro import AvroDeserializer

        return AvroDeserializer(client, conf=conf)
    if name == "json-schema":
        from confluent_kafka.schema_registry.json_schema import JSONDeserializer

        return JSONDeserializer(None, schema_registry_client=client, conf=conf)
    from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer

    return ProtobufDeserializer(_generated(hint), {**conf, "use.deprecated.format": False}, client)


def _generated(hint: Any) -> Any:
    """The class of Protobuf messages that a hint names, by itself or as `Optional[…]`. Raises FormatError."""
    found = wanted(hint)
    if not hasattr(found, "DESCRIPTOR"):
        raise FormatError("the type hint of the handler's first parameter must be the generated class of its messages")
    return found


class RegistryDecoder:
    """Decodes the messages of one handler."""

    def __init__(self, name: str, registry: SchemaRegistry, deserializer: Any, hint: Any) -> None:
        """`name`: the format."""
        from confluent_kafka.schema_registry import dual_schema_id_deserializer
        from confluent_kafka.schema_registry.serde import SchemaId
        from confluent_kafka.serialization import MessageField, SerializationContext

        self._name, self._type = name, FORMATS[name]
        self._registry = registry
        self._deserializer = deserializer
        self._message = _generated(hint).DESCRIPTOR.full_name if name == "protobuf" else ""  # of Protobuf, that is wanted
        self._convert = None if self._message else converter(hint)
        self._takes_none = takes_none(hint) or not (self._message or self._convert)
        self._read_id: Any = dual_schema_id_deserializer
        self._new_id: Any = SchemaId
        self._of_message: Any = SerializationContext
        self._field = MessageField.VALUE
        self._known: Set[Tuple[Any, ...]] = set()  # what messages name whose schema is here

    def may_wait(self, value: Optional[bytes], context: Context) -> bool:
        """Whether the registry has to be asked. Raises UndecodableError."""
        return value is not None and self._named(value, self._in_words_of_the_library(context))[0] not in self._known

    def decode(self, value: Optional[bytes], context: Context) -> Any:
        """What the handler gets. Raises as told at the top."""
        if value is None:
            return tombstone(takes_none=self._takes_none)
        of_message = self._in_words_of_the_library(context)
        place, schema_id = self._named(value, of_message)
        if place not in self._known:
            self._learn(schema_id, context.topic)
            self._known.add(place)
        try:
            decoded = self._deserializer(value, of_message)
        except Exception as problem:
            if self._of_network(problem):  # the library has forgotten something, and wanted it told again
                self._known.discard(place)
                raise RegistryAwayError(self._registry.in_words(problem)) from None
            raise self._undecodable(problem) from None  # its text may have values in it
        return decoded if self._convert is None else self._convert(decoded)

    def _in_words_of_the_library(self, context: Context) -> Any:
        return self._of_message(context.topic, self._field, context.headers)

    def _undecodable(self, problem: Exception) -> UndecodableError:
        """In words, but without values where it is known that there are some: of what does not fit a JSON Schema."""
        for cause in causes_of(problem):
            if hasattr(cause, "absolute_path") and hasattr(cause, "validator"):
                return invalid(cause.absolute_path, f'its schema has "{cause.validator}" for that')
        return UndecodableError(f"{self._name}: {described(problem)}")

    def _named(self, value: bytes, of_message: Any) -> Tuple[Tuple[Any, ...], Any]:
        """By what a message names its schema, and what the library made of that."""
        schema_id = self._new_id(self._type)
        try:
            self._read_id(value, of_message, schema_id)
        except Exception as problem:  # too short, another magic byte
            form = "a message in the wire format of a schema registry (a zero byte, four bytes of the schema's id)"
            raise UndecodableError(f"{self._name}: {form} is wanted: {text_of(problem)}") from problem
        return (of_message.topic, schema_id.id, schema_id.guid, *(schema_id.message_indexes or ())), schema_id

    def _learn(self, schema_id: Any, topic: str) -> None:
        """Have the client get the schema, which keeps it. Raises UndecodableError where it is no such schema."""
        named, subject = (schema_id.guid, "") if schema_id.id is None else (schema_id.id, f"{topic}-value")
        schema = self._registry.look_up(named, lambda: self._got(schema_id, subject), subject)
        kind = schema.schema_type or "AVRO"
        if kind != self._type:
            raise UndecodableError(f"{self._name}: schema {named} is one of {kind}")
        found = self._message and _message_name(schema.schema_str, schema_id.message_indexes)
        if found != self._message:
            what = f"a message {found} of schema {named}, where the handler takes {self._message}"
            raise UndecodableError(f"{self._name}: {what}")

    def _got(self, schema_id: Any, subject: str) -> Any:
        """The schema, from the registry, when the client has all that it refers to, too."""
        client: Any = self._registry.client
        form = "serialized" if self._name == "protobuf" else None
        if schema_id.id is not None:
            schema = client.get_schema(schema_id.id, subject, form)
        else:
            schema = client.get_schema_by_guid(str(schema_id.guid), form)
        left = [schema]
        while left:
            others = left.pop().references or ()
            left += [client.get_version(other.subject, other.version, True, form).schema for other in others]
        return schema

    def _of_network(self, problem: Exception) -> bool:
        modules = {name.partition(".")[0] for name in names_of(problem)}
        ours = (OSError, NoRegistryError)
        return isinstance(problem, ours) or bool(modules.intersection(_LIBRARIES)) or _is_refusal(problem)


def _checked(get: Callable[..., Any], path: str, query: Any = None) -> Any:
    """What a registry answers. Raises NoRegistryError, where a schema was asked for and that is none."""
    try:
        answer = get(path, query)
    except (JSONDecodeError, UnicodeDecodeError) as problem:
        raise NoRegistryError(f"an answer that is no JSON: {text_of(problem)}") from problem
    if _OF_A_SCHEMA(path) and not (isinstance(answer, dict) and isinstance(answer.get("schema"), str) and answer["schema"]):
        raise NoRegistryError("an answer without a schema")
    return answer


def _is_refusal(problem: Exception) -> bool:
    return class_of(problem) in ("SchemaRegistryError", "OAuthTokenError")


def _message_name(schema: str, indexes: Any) -> str:
    """The full name of a message in a file of Protobuf, by its place there: the library itself does not look at it."""
    from base64 import b64decode

    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    try:
        file = FileDescriptorProto.FromString(b64decode(schema))
        names, messages = [file.package], file.message_type
        for index in indexes or [0]:
            names.append(messages[index].name)
            messages = messages[index].nested_type
    except Exception as problem:
        raise UndecodableError(
            f"protobuf: the schema has no message at {list(indexes or ())}: {text_of(problem)}"
        ) from problem
    return ".".join(filter(None, names))
