"""Handlers that want the value of a message as it is, in bytes or as text. Pure."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from kafka_worker.handler.decoding import Decoder
from kafka_worker.handler.validation.typed import takes_none, tombstone, wanted
from kafka_worker.shared.foreign.errors import UndecodableError


def as_bytes(value: Optional[bytes]) -> Optional[bytes]:
    """The bytes, None for a tombstone."""
    return value


def as_text(value: Optional[bytes]) -> Optional[str]:
    """The bytes as UTF-8, None for a tombstone. Raises UndecodableError."""
    try:
        return None if value is None else value.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise UndecodableError(f"{type(problem).__name__}: {problem}") from problem


BY_TYPE: Dict[Any, Callable[[Optional[bytes]], Any]] = {bytes: as_bytes, str: as_text}


def raw_decoder(hint: Any) -> Optional[Decoder]:
    """What gives a message to a handler whose hint is bytes or str; None: it is neither."""
    try:
        decoder = BY_TYPE.get(wanted(hint))
    except TypeError:  # a hint that can't be hashed
        return None
    if decoder is None or takes_none(hint):
        return decoder
    decode = decoder
    return lambda value: decode(value) if value is not None else tombstone(takes_none=False)
