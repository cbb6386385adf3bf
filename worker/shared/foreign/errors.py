"""An error in words: the names of its classes, its text, the end of its traceback. Pure, and never raises: the user's own
classes may do anything when they are asked. So it is the handler's thread that asks, once (see `exceptions.copied`); all
others ask the copy, which has the answers.
"""

from __future__ import annotations

import re
import traceback
from typing import List, Tuple

from kafka_worker.shared.foreign.texts import plain_text, shortened

MOST_CAUSES = 20  # errors in a chain
LONGEST_NAME = 200  # characters of a module or a class
LONGEST_TEXT = 2000  # characters of what an error says: it may have a whole message in it
MOST_FRAMES = 50  # of each error in a chain; what is cut off at the front is our own and frameworks' most often


class PlainError(Exception):
    """An error that we made, of plain data: nothing of the user's is in it."""


class UntriedError(PlainError):
    """The handler was not called: nothing of it counts, and the task waits as it is."""


class InabilityError(UntriedError):
    """What it takes to run a task at all is not there: a process, the schema of its message. No task is to blame for that, and
    none was tried: each waits as it is."""

    what = ""  # in words, before the text of the error
    again_after = 2.0  # seconds, until the task is tried again


class CopiedError(PlainError):
    """Stands for an error of the user's, in this process or another."""

    names: Tuple[str, ...]  # the dotted names of the original's class and all its bases
    causes: Tuple[BaseException, ...]  # what caused it, what caused that, and so on
    remote_traceback: str  # the original's, formatted


def names_of(error: BaseException) -> Tuple[str, ...]:
    """The dotted names of its class and of all that it inherits from, its own first. An error that stands for another carries
    the names of that one in an attribute `names`."""
    try:
        told = error.names  # type: ignore[attr-defined]
    except BaseException:
        told = ()
    if type(told) is tuple and told and all(type(name) is str for name in told):
        return told
    return names_of_class(error)


def names_of_class(error: BaseException) -> Tuple[str, ...]:
    """The names of an error's class and its bases, whatever the error says of itself."""
    return names_with_bases(type(error))


def names_with_bases(kind: type) -> Tuple[str, ...]:
    """The dotted names of a class and of all that it inherits from, its own first."""
    kinds: Tuple[type, ...] = type.__dict__["__mro__"].__get__(kind)  # whatever its metaclass says
    return tuple(name_of(each) for each in kinds if each is not object)


def name_of(kind: type) -> str:
    """The dotted name of a class, where it is defined."""
    try:
        return f"{_printable(kind.__module__)}.{_printable(kind.__qualname__)}"
    except BaseException:
        return "unknown.Unnamed"


def _printable(name: str) -> str:
    text = plain_text(name)[:LONGEST_NAME]
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


def unqualified(name: str) -> str:
    """A dotted name without its module."""
    return name.rpartition(".")[2]


def class_of(error: BaseException) -> str:
    """The name of its class, without the module."""
    return unqualified(names_of(error)[0])


def causes_of(error: BaseException) -> List[BaseException]:
    """The error, what caused it, what caused that, and so on."""
    if issubclass(type(error), CopiedError):
        return [error, *error.causes]  # type: ignore[attr-defined]
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
    """`str(error)`, shortened, whatever the user's `__str__` raises: SystemExit would end a thread without a word. A
    group says only how many it has: the first of them is told, too."""
    try:
        text = plain_text(str(error))
        if hasattr(type(error), "derive") and hasattr(type(error), "exceptions"):  # of a group, whoever made it
            text = f"{text}: {described(error.exceptions[0])}"  # type: ignore[attr-defined]
        return shortened(text, LONGEST_TEXT)
    except BaseException as problem:
        return f"(its text raised {class_of(problem)})"


def described(error: BaseException) -> str:
    """Its class, and what it says."""
    return f"{class_of(error)}: {text_of(error)}"


def quoted(error: BaseException) -> str:
    """Its class, and between marks what it says: that may be out of a message, and is left out where strangers look."""
    text = text_of(error).replace("«", "<").replace("»", ">")
    return f"{class_of(error)}: «{text}»"


def unquoted(text: str) -> str:
    """The text without what errors say in it, and with what they are."""
    return re.sub("«[^»]*(»|$)", "…", text) if "«" in text else text


def traceback_of(error: BaseException, longest: int) -> str:
    """The last `longest` characters of its traceback: the end says where it was raised, and what it is."""
    if issubclass(type(error), CopiedError):
        return str(error.remote_traceback[-longest:])  # type: ignore[attr-defined]
    try:
        lines = traceback.format_exception(type(error), error, error.__traceback__, limit=-MOST_FRAMES)
        return "".join(shortened(plain_text(line), LONGEST_TEXT) for line in lines)[-longest:]
    except BaseException as problem:
        return f"(its traceback raised {class_of(problem)})"


class UndecodableError(Exception):
    """The message can't be read as what it should be (JSON, text, whatever DECODER says). No attempt would change that."""


class TooLongError(UndecodableError):
    """The message is longer than MAX_MESSAGE_BYTES."""


class InvalidMessageError(UndecodableError):
    """It can be read, and is not such as its schema, the handler's type hint, or the form of its header `deliver-at` wants."""
