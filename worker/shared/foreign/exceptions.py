"""What a handler raised: in words, and as plain data that crosses from a task process to ours, or from the handler's thread to
the others. No object of the user's crosses: making one here would import and run his code in the process that must not die of
it, and asking one would run it in a thread that must not wait for it. What arrives is a stand-in with the names of the
original's classes, so that logs, dead letters and RETRYABLE_ERRORS see no difference.
"""

from __future__ import annotations

import contextlib
import functools
from typing import Any, Dict, Optional, Tuple, Type

from kafka_worker.shared.foreign.answers import Reject, Retry
from kafka_worker.shared.foreign.errors import (
    CopiedError,
    InabilityError,
    InvalidMessageError,
    PlainError,
    TooLongError,
    UndecodableError,
    causes_of,
    names_of,
    names_of_class,
    text_of,
    traceback_of,
    unqualified,
)

LONGEST = 32_000  # characters of a text or a traceback that cross
# These arrive as such: a class stands before its base, and what says "never" before what says "again".
_OURS: Tuple[Type[Exception], ...] = (InabilityError, InvalidMessageError, TooLongError, UndecodableError, Reject, Retry)
_COPY = "copied_as"  # in the dictionary of an error

Data = Dict[str, Any]


class RemoteTraceback(PlainError):  # noqa: N818 (a text, not an error)
    """The cause of a copy: shows the traceback of the original, as concurrent.futures does it."""

    def __init__(self, text: str) -> None:
        """`text`: as Python formatted it where the exception was raised."""
        super().__init__(f"\n{text}")


class RemoteError(CopiedError):
    """Stands for an exception that a handler raised. Its class has the name of the original's; only isinstance of the real
    class says no, unless that is one of ours."""

    def __init__(self, data: Data) -> None:
        """`data`: what `as_data` made."""
        Exception.__init__(self, data["text"])
        self.names = tuple(data["names"])
        self.causes = tuple(map(rebuilt, data["causes"]))
        self.remote_traceback = data["traceback"]
        self.after: Optional[float] = data["after"]  # what a Retry wishes
        self.__cause__ = RemoteTraceback(self.remote_traceback) if self.remote_traceback else None


def copied(error: BaseException) -> Exception:
    """The exception with nothing of the user's in it: made in the thread that ran his code, for all others. Never raises.
    If it, or what caused it, was copied before (see `noted`), those copies are among its causes."""
    if issubclass(type(error), PlainError):
        return error  # type: ignore[return-value]
    try:
        copy = rebuilt(as_data(error))
        copy.causes += tuple(before for before in map(_before, causes_of(error)) if before is not None)
    except BaseException as problem:  # out of memory, or a process that forbids all that
        text = f"{names_of(error)[0]}, and telling of it raised {names_of(problem)[0]}"
        return rebuilt(_data(("builtins.RuntimeError", "builtins.Exception"), text))
    return copy


def noted(error: BaseException) -> Exception:
    """A copy that will be among the causes of whatever this error leads to."""
    copy = copied(error)
    with contextlib.suppress(BaseException):  # the user's own class may forbid it
        vars(error)[_COPY] = copy
    return copy


def as_data(error: BaseException) -> Data:
    """The exception as data that `marshal` takes."""
    ours = next((kind.__name__ for kind in _OURS if issubclass(type(error), kind)), "")
    causes = [_data(names_of_class(cause), text_of(cause)) for cause in causes_of(error)[1:]]
    names = names_of(error) if issubclass(type(error), PlainError) else names_of_class(error)
    return _data(names, text_of(error), ours, traceback_of(error, LONGEST), _wish(error) if ours else None, causes)


def rebuilt(data: Data) -> RemoteError:
    """What `as_data` made, to be raised here."""
    return _stand_in(data["names"][0], data["ours"])(data)


def without_traceback(error: BaseException) -> RemoteError:
    """The same, with one line where its traceback was: for what our own code has raised, and of which its text says all."""
    names, text = names_of(error), text_of(error)
    return rebuilt(_data(names, text, trace=f"{names[0]}: {text}"))


def _data(names: Tuple[str, ...], text: str, ours: str = "", trace: str = "", after: Any = None, causes: Any = ()) -> Data:
    return {
        "names": names, "text": text[:LONGEST], "ours": ours, "traceback": trace, "after": after, "causes": causes,
    }  # fmt: skip


def _before(error: BaseException) -> Optional[RemoteError]:
    with contextlib.suppress(BaseException):
        copy = vars(error).get(_COPY)
        if issubclass(type(copy), RemoteError):
            return copy
    return None


def _wish(error: BaseException) -> Optional[float]:
    """The seconds that a Retry wishes for: of anything that is a number."""
    try:
        return float(error.after)  # type: ignore[attr-defined]
    except BaseException:  # it is the user's object: no wish, no number, or a subclass that never called ours
        return None


@functools.lru_cache(maxsize=256)
def _stand_in(name: str, ours: str) -> Type[RemoteError]:
    """A class with this dotted name, which is one of ours if the original was."""
    bases: Tuple[type, ...] = (RemoteError, *(kind for kind in _OURS if kind.__name__ == ours))
    module, _, short = name.rpartition(".")
    return type(unqualified(name), bases, {"__module__": module, "__qualname__": short})
