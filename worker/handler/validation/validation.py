"""What a message must be before its handler gets it: not too long, a fit for the schema, and of the handler's type, in this
order. Each is there only where it is asked for; without any, a handler gets its JSON as before.
"""

from __future__ import annotations

from typing import Any, List, Mapping, Optional

from kafka_worker.handler.decoding import Decoder, WithContext, quick_decoder
from kafka_worker.handler.formats import raw
from kafka_worker.handler.validation import schema
from kafka_worker.handler.validation.schema import Schema, SchemaError
from kafka_worker.handler.validation.typed import converter, takes_none, tombstone, typed_decoder
from kafka_worker.shared.configuration.client.registry_properties import FORMATS
from kafka_worker.shared.foreign.errors import TooLongError
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.topic_settings import TopicSettings


def decoder_for(
    hint: Any, settings: TopicSettings, registry: Optional[Mapping[str, str]] = None, function: Optional[Decoder] = None
) -> Decoder:
    """From the bytes of a message, or None for a tombstone, to what a handler gets whose message has this type hint (None:
    no hint). What it makes raises UndecodableError for a message that no attempt will make good. `registry`: the properties of
    the schema registry's client; `function`: what DECODER names, where that is one.

    Raises SchemaError, HintError and FormatError when settings or hint can't be used."""
    plain = quick_decoder()
    decoder = _converted(function, hint) if function else _of_format(hint, settings, registry or {}, plain)
    if settings.message_schema and not isinstance(decoder, WithContext):
        decoder = _checked(decoder, plain, schema.of_file(settings.message_schema))
    if settings.max_message_bytes:
        decoder = _limited(decoder, settings.max_message_bytes)
    return decoder


def _of_format(hint: Any, settings: TopicSettings, registry: Mapping[str, str], plain: Decoder) -> Decoder:
    """The handler's own word goes before DECODER, but for a schema registry: what that has described is decoded by it."""
    if settings.decoder in FORMATS:
        from kafka_worker.handler.formats.registry_decoder import of_registry  # what it takes, few services have

        return of_registry(settings.decoder, hint, registry)
    own = raw.raw_decoder(hint) or typed_decoder(hint)
    return own or {"bytes": raw.as_bytes, "text": raw.as_text}.get(settings.decoder, plain)


def _converted(function: Decoder, hint: Any) -> Decoder:
    """What a function of the user's returns, as the handler's type: a model is made of plain data, all else stays as it is."""
    convert = converter(hint, of_users=True)
    if convert is None:
        return function
    make, none_too = convert, takes_none(hint)

    def decoder(value: Optional[bytes], *context: Any) -> Any:
        decoded = function(value, *context)
        return tombstone(takes_none=none_too) if value is None and decoded is None else make(decoded)

    return WithContext(decoder) if isinstance(function, WithContext) else decoder


def is_one_for_all(settings: Settings) -> bool:
    """Whether no topic has a decoder of its own."""
    return len({(own.decoder, own.message_schema, own.max_message_bytes) for own in settings.each()}) == 1


def faults(settings: Settings) -> List[str]:
    """What is wrong with the settings, one line each."""
    found = []
    for own in settings.each():
        try:
            if own.message_schema:
                schema.of_file(own.message_schema)
        except SchemaError as problem:
            found.append(str(problem))
    return found


def _checked(decoder: Decoder, plain: Decoder, wanted: Schema) -> Decoder:
    def checked(value: Optional[bytes]) -> Any:
        if value is None:  # a tombstone has nothing that a schema could speak of
            return decoder(value)
        document = plain(value)
        wanted.check(document, value)
        return document if decoder is plain else decoder(value)

    return checked


def _limited(decoder: Decoder, limit: int) -> Decoder:
    def limited(value: Optional[bytes], *context: Any) -> Any:
        if value is not None and len(value) > limit:
            raise TooLongError(f"{len(value)} bytes, and MAX_MESSAGE_BYTES={limit}")
        return decoder(value, *context)

    if isinstance(decoder, WithContext):
        may_wait = decoder.may_wait
        return WithContext(limited, lambda value, context: len(value or b"") <= limit and may_wait(value, context))
    return limited
