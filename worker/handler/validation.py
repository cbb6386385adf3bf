"""What a message must be before its handler gets it: not too long, a fit for the schema, and of the handler's type, in this
order. Each is there only where it is asked for; without any, a handler gets its JSON as before.
"""

from __future__ import annotations

from typing import Any, List, Optional

from kafka_worker.handler import schema
from kafka_worker.handler.decoding import quick_decoder
from kafka_worker.handler.schema import Schema, SchemaError
from kafka_worker.handler.typed import Decoder, typed_decoder
from kafka_worker.shared.foreign.errors import TooLongError
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.topic_settings import TopicSettings


def decoder_for(hint: Any, settings: TopicSettings) -> Decoder:
    """From the bytes of a message, or None for a tombstone, to what a handler gets whose message has this type hint (None:
    no hint). What it makes raises UndecodableError for a message that no attempt will make good.

    Raises SchemaError and HintError when settings or hint can't be used."""
    plain = quick_decoder()
    decoder = typed_decoder(hint) or plain
    if settings.message_schema:
        decoder = _checked(decoder, plain, schema.of_file(settings.message_schema))
    if settings.max_message_bytes:
        decoder = _limited(decoder, settings.max_message_bytes)
    return decoder


def is_one_for_all(settings: Settings) -> bool:
    """Whether no topic has a decoder of its own."""
    return len({(own.message_schema, own.max_message_bytes) for own in settings.each()}) == 1


def faults(settings: Settings) -> List[str]:
    """What is wrong with the settings, one line each."""
    found = []
    for own in settings.each():
        try:
            decoder_for(None, own)
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
    def limited(value: Optional[bytes]) -> Any:
        if value is not None and len(value) > limit:
            raise TooLongError(f"{len(value)} bytes, and MAX_MESSAGE_BYTES={limit}")
        return decoder(value)

    return limited
