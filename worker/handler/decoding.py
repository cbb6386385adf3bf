"""From the bytes of a Kafka message to what a handler gets. Runs in the handler threads; whatever is wrong with a message is
said by `UndecodableError`, which makes it a dead letter at once. Pure.
"""

from __future__ import annotations

import functools
from json import loads
from typing import Any, Callable, Iterable, List, Optional

from kafka_worker.shared.foreign.errors import InvalidMessageError, UndecodableError

#: Makes what a handler gets of the bytes of a message, or None for a tombstone; `WithContext` wants its context, too.
Decoder = Callable[..., Any]

_LONGEST_PLACE, _LONGEST_TEXT = 200, 500  # characters
_MOST_BRACKETS = 500  # beyond, a message may be as deep as `json` refuses, and others do not
_SPARED: List[bool] = []  # once somebody has no need of a quick decoder
_FIRST_EXACT = (0, 19)  # of msgspec; 0.18 makes another number of 19999999999999999999


def decode(value: Optional[bytes]) -> Any:
    """The JSON value of a message, None for a tombstone. Raises UndecodableError."""
    if value is None:
        return None
    try:
        return loads(value.decode("utf-8"))
    except (ValueError, RecursionError) as problem:  # also UnicodeDecodeError, and integers of over 4,300 digits
        raise UndecodableError(f"{type(problem).__name__}: {problem}") from problem


def spare_quick_decoder() -> None:
    """This process decodes nothing: what msgspec imports takes milliseconds, for which the first process would wait."""
    _SPARED.append(True)


@functools.lru_cache(maxsize=None)
def quick_decoder() -> Callable[[Optional[bytes]], Any]:
    """`decode`, by msgspec where that is installed: twice as fast, and to the letter the same. What that one refuses
    (NaN, 1e999, half of a surrogate pair, whatever is wrong) is left to `json`, which may think otherwise."""
    if _SPARED:
        return decode
    try:
        import msgspec

        if tuple(map(int, msgspec.__version__.split(".")[:2])) < _FIRST_EXACT:
            return decode
        first = msgspec.json.Decoder().decode
    except Exception:  # it is not there, or is another one, of the user's
        return decode

    def decoder(value: Optional[bytes]) -> Any:
        if value is not None and (len(value) <= _MOST_BRACKETS or value.count(b"[") + value.count(b"{") <= _MOST_BRACKETS):
            try:
                return first(value)
            except Exception:  # noqa: S110 (written out: `suppress` takes a third as long as decoding does)
                pass
        return decode(value)

    return decoder


class WithContext:
    """A decoder that wants to know more of a message than its value, and may have to wait for somebody before it knows how."""

    def __init__(
        self, decode: Callable[..., Any], may_wait: Callable[[Optional[bytes], Any], bool] = lambda _value, _context: False
    ) -> None:
        """`decode(value, context)` is called by the handler's thread; for a coroutine, where it `may_wait`, by another."""
        self._decode = decode
        self.may_wait = may_wait

    def __call__(self, value: Optional[bytes], context: Any) -> Any:
        """What the handler gets."""
        return self._decode(value, context)


def invalid(path: Iterable[object], wanted: str, more: int = 0) -> InvalidMessageError:
    """What to raise when a message has something else than what is wanted at this path, and so many more violations.

    The path is told as a JSON pointer (RFC 6901). `wanted` must not repeat the value that stands there: it may be personal
    data, and a dead letter's reason ends in logs and in the eyes of people who may not read the message."""
    place = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
    rest = f" (and {more} more)" if more else ""
    text = f"{_shortened(place, _LONGEST_PLACE) or 'the whole message'}: {wanted}"
    return InvalidMessageError(_shortened(text, _LONGEST_TEXT - len(rest)) + rest)


def _shortened(text: str, longest: int) -> str:
    """On one line, and without what no log can take: names of properties come from strangers."""
    shown = "".join(each if each.isprintable() else "?" for each in text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
