"""An error in words: the names of its classes, its text, the end of its traceback. Pure, and never raises: the user's own
classes may do anything when they are asked, and it is the consumer thread that asks.
"""

from __future__ import annotations

import traceback
from typing import List, Tuple

MOST_CAUSES = 20  # errors in a chain
MOST_FRAMES = 50  # of each error in a chain; what is cut off at the front is our own and frameworks' most often


def names_of(error: BaseException) -> Tuple[str, ...]:
    """The dotted names of its class and of all that it inherits from, its own first. An error that stands for one in another
    process carries the names of that one in an attribute `names`."""
    try:
        told = error.names  # type: ignore[attr-defined]
    except BaseException:
        told = ()
    if isinstance(told, tuple) and told and all(isinstance(name, str) for name in told):
        return told
    return tuple("%s.%s" % (kind.__module__, kind.__qualname__) for kind in type(error).__mro__ if kind is not object)


def plain(name: str) -> str:
    """A dotted name without its module."""
    return name.rpartition(".")[2]


def causes_of(error: BaseException) -> List[BaseException]:
    """The error, what caused it, what caused that, and so on."""
    found = [error]
    try:
        while len(found) < MOST_CAUSES:
            last = found[-1]
            cause = last.__cause__ if last.__cause__ is not None else last.__context__
            if cause is None:
                break
            found.append(cause)
    except BaseException:
        return found
    return found


def text_of(error: BaseException) -> str:
    """`str(error)`, whatever the user's `__str__` raises: SystemExit would end the consumer thread without a word."""
    try:
        return str(error)
    except BaseException as problem:
        return "(its text raised %s)" % type(problem).__name__


def traceback_of(error: BaseException, longest: int) -> str:
    """The last `longest` characters of its traceback: the end says where it was raised, and what it is."""
    try:
        lines = traceback.format_exception(type(error), error, error.__traceback__, limit=-MOST_FRAMES)
    except BaseException as problem:
        return "(its traceback raised %s)" % type(problem).__name__
    return "".join(lines)[-longest:]
