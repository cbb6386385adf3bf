"""Messages whose schema is in a schema registry: `DECODER=avro`, `json-schema` or `protobuf`. The wire format and the formats
themselves are confluent-kafka's own business (`pip install -r requirements-schema-registry.txt`); what becomes of a message
that can't be read is ours. Not in the wire format, of another format, or no fit for its schema: `UndecodableError`, a dead
letter at once. A schema, and all that it refers to, is asked for before a message of it is decoded, and by
`SchemaRegistry.look_up` alone: see `registry` for what comes of that.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Set, Tuple

from kafka_worker.handler.context import Context
from kafka_worker.handler.decoding import WithContext, invalid
from kafka_worker.handler.formats import FormatError
from kafka_worker.handler.formats.registry import NoRegistryError, RegistryAwayError, SchemaRegistry, registry_of
from kafka_worker.handler.validation.typed import converter, takes_none, tombstone, wanted
from kafka_worker.shared.configuration.client.registry_properties import FORMATS
from kafka_worker.shared.foreign.errors import UndecodableError, causes_of, class_of, described, names_of, text_of

_LIBRARIES = ("httpx", "httpx2")  # whose errors tell of the network


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
