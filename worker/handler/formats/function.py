"""A function of the user's that decodes: `DECODER=module:function`. It gets the bytes of a message, or None for a tombstone,
and the context if it takes a second parameter. What it returns is what the handler gets.

A ValueError of it says what is wrong with the message, and that no attempt will ever do. Whatever else it raises counts as if
the handler had raised it: `Retry` and `Reject` too.
"""

from __future__ import annotations

from typing import Any, Callable, Optional

from kafka_worker.handler.context import Context
from kafka_worker.handler.decoding import Decoder, WithContext
from kafka_worker.handler.validation.typed import without_values
from kafka_worker.shared.foreign.errors import UndecodableError, described


def of_function(function: Callable[..., Any], *, takes_context: bool) -> Decoder:
    """What decodes by this function."""

    def decoder(value: Optional[bytes], *context: Context) -> Any:
        try:
            return function(value, *context)
        except UndecodableError:
            raise
        except Exception as problem:  # of old releases of msgspec a violation is no ValueError
            violation = without_values(problem)
            if violation is not None:
                raise violation from None
            if not isinstance(problem, ValueError):
                raise
            raise UndecodableError(described(problem)) from problem

    return WithContext(decoder) if takes_context else decoder
