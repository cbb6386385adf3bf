"""What a handler raised: in words, and as plain data that crosses from a task process to ours. No object of the user's
crosses: making one here would import and run his code in the process that must not die of it. What arrives is a stand-in
with the names of the original's classes, so that logs, dead letters and RETRYABLE_ERRORS see no difference.
"""

from __future__ import annotations

import functools
import traceback
from typing import Any, Dict, Tuple, Type

from service.outcomes import Reject, Retry
from worker.decoding import InvalidMessageError, TooLongError, UndecodableError
from worker.error_text import text_of

LONGEST = 32_000  # characters of a text or a traceback that cross
# These arrive as what they are; a class stands before its base.
_OURS: Tuple[Type[Exception], ...] = (Retry, Reject, InvalidMessageError, TooLongError, UndecodableError)

Told = Dict[str, Any]
Name = Tuple[str, str]  # module and qualified name


class RemoteTraceback(Exception):  # noqa: N818 (a text, not an error)
    """The cause of what a task process told of: shows the traceback from there, as concurrent.futures does it."""

    def __init__(self, text: str) -> None:
        """`text`: as Python formatted it where the exception was raised."""
        super().__init__("\n%s" % text)


class RemoteError(Exception):
    """Stands for an exception that a handler raised in a task process. Its class has the name of the original's, and so on
    through all bases; only isinstance of the real classes says no."""

    def __init__(self, text: str, remote_traceback: str) -> None:
        """`text`: the original's; `remote_traceback`: its traceback, formatted."""
        super().__init__(text)
        self.remote_traceback = remote_traceback

    @property
    def names(self) -> Tuple[str, ...]:
        """The dotted names of the original's class and its bases (see `error_text.names_of`)."""
        kinds = type(self).__mro__[: type(self).__mro__.index(RemoteError)]
        return tuple("%s.%s" % (kind.__module__, kind.__qualname__) for kind in kinds)


def told(error: BaseException) -> Told:
    """The exception as data that `marshal` takes."""
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    after = getattr(error, "after", None)
    return {
        "ours": next((kind.__name__ for kind in _OURS if isinstance(error, kind)), ""),
        "names": [(str(kind.__module__), str(kind.__qualname__)) for kind in type(error).__mro__ if kind is not object],
        "text": text_of(error)[:LONGEST],
        "traceback": trace[-LONGEST:],
        "after": float(after) if isinstance(after, (int, float)) else None,
    }


def rebuilt(data: Told) -> Exception:
    """What `told` told of, to be raised here."""
    kind = next((kind for kind in _OURS if kind.__name__ == data["ours"]), None)
    error: Exception
    if kind is None:
        error = _mirrored(tuple(map(tuple, data["names"])))(data["text"], data["traceback"])
    else:
        error = Retry(data["text"], data["after"]) if kind is Retry else kind(data["text"])
    error.__cause__ = RemoteTraceback(data["traceback"])
    return error


@functools.lru_cache(maxsize=256)
def _mirrored(names: Tuple[Name, ...]) -> Type[RemoteError]:
    """A class with these names, through all its bases."""
    kind: Any = RemoteError
    for module, qualified in reversed(names):
        kind = type(qualified.rpartition(".")[2], (kind,), {"__module__": module, "__qualname__": qualified})
    return kind  # type: ignore[no-any-return]
