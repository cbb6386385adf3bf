"""Whether the classes of errors that settings name exist, once the handlers are imported. A name stands for the class that has
it where it is defined; one that no class has never matches, whatever is raised.

A class may come later: some modules are imported by the first call, and some classes are made by it. So a name is a fault only
if another is meant, and otherwise a warning.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
from typing import Any, Dict, List, NamedTuple, Set

from kafka_worker.shared.configuration.near import LIKENESS, nearest
from kafka_worker.shared.foreign.errors import name_of, names_with_bases, unqualified
from kafka_worker.shared.output.last_words import while_
from kafka_worker.shared.settings import TABLE, Settings

FIELDS = ("retryable_errors", "fatal_errors", "breaker_ignored_errors")
VERY_NEAR = 0.9  # of difflib's ratio: the same but for a letter or two; ConnectError and ConnectionError are farther away
BUILTIN = "builtins."


class Said(NamedTuple):
    """What is said of the names in the settings, one line each."""

    faults: List[str]
    warnings: List[str]


def said_of(settings: Settings) -> Said:
    """What is wrong with them, and what may be."""
    said = Said([], [])
    for own in settings.each():
        for field in FIELDS:
            inherited = own.table and field not in settings.topic_tables[own.table]
            for name in () if inherited else getattr(own, field):
                where = f"{TABLE[field].environment}{f' of {own.table}' if own.table else ''} = {name}"
                _judge(name, where, said)
    return Said(*(list(dict.fromkeys(lines)) for lines in said))


def _judge(name: str, where: str, said: Said) -> None:
    if _has(vars(builtins).get(name), name):  # most are: nobody has to look through all classes for these
        return
    found = _resolved(name)  # first: it may import what has the class
    known = _known()
    if name in known:
        return
    wanted = "wanted: the name that an exception has where it is defined, alone or with its module"
    meant = _own_name(found, name) or _nearest(name, known, VERY_NEAR)
    if meant:
        said.faults.append(f"{where}: no exception has this name; did you mean {meant}? ({wanted})")
    else:
        near = _nearest(name, known)
        like = f", and the most like it is {near}" if near else ""
        said.warnings.append(
            f"{where}: no exception has this name when the handlers are imported{like}. If it is not defined later, nothing "
            f"comes of it ({wanted})"
        )


def _has(found: Any, name: str) -> bool:
    return _is_error(found) and name_of(found) in (name, BUILTIN + name)


def _is_error(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, BaseException)


def _resolved(name: str) -> Any:
    """What the name leads to, from the builtins or from its module, which is imported for that; None: nothing."""
    module, *rest = name.split(".")
    if not rest:
        return vars(builtins).get(name)
    with contextlib.suppress(BaseException), while_(f"importing {name}"):  # the user's module may raise anything
        found: Any = importlib.import_module(module)
        for step in rest:
            module = f"{module}.{step}"
            found = getattr(found, step, None) or importlib.import_module(module)
        return found
    return None


def _own_name(found: Any, name: str) -> str:
    """What a class is called that was found by another name; empty: none was."""
    if not _is_error(found):
        return ""
    own = name_of(found)
    if own.startswith(BUILTIN):
        return own[len(BUILTIN) :]
    return own if "." in name else unqualified(own)


def _known() -> Set[str]:
    """The names of all exceptions that there are now, and of what they inherit from, alone and with their modules."""
    errors: Dict[int, type] = {}  # by identity: a class of the user's may have a metaclass that raises when it is asked
    waiting: List[type] = [BaseException]
    while waiting:
        error = waiting.pop()
        if id(error) not in errors:
            errors[id(error)] = error
            waiting += type.__subclasses__(error)
    dotted = {name for error in errors.values() for name in names_with_bases(error)}
    return dotted | set(map(unqualified, dotted))


def _nearest(name: str, known: Set[str], likeness: float = LIKENESS) -> str:
    """The most like it, whatever the case; empty: none comes near. With a module it is one that has another in front of it, or
    one of the same module, or one of that name in another."""
    module, _, last = name.lower().rpartition(".")
    names = {each.lower(): each for each in sorted(known) if ("." in each) is bool(module)}
    if not module:
        return names.get(nearest(last, names, likeness), "")
    ending = [each for each in names if each.endswith(f".{module}.{last}")]
    beside = [unqualified(each) for each in names if each.rpartition(".")[0] == module]
    elsewhere = [each for each in names if unqualified(each) == last]
    near = nearest(last, beside, likeness)
    meant = [*ending, *([f"{module}.{near}"] if near else []), nearest(name.lower(), elsewhere, likeness)][0]
    return names.get(meant, "")
