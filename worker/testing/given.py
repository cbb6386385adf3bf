"""The settings of a worker that is tested, from what the test gives: validated as the service's own, with its words."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from typing import Any, Callable, Dict, Mapping

from kafka_worker.shared.configuration import load
from kafka_worker.shared.configuration.near import nearest
from kafka_worker.shared.setting import written
from kafka_worker.shared.settings import ALL_PREFIXES, TABLE, Settings

#: What a test need not say. One thread, so that messages run one after the other, and a test says the same each time.
USUAL = {"KAFKA_BOOTSTRAP_SERVERS": "nowhere:9092", "KAFKA_GROUP_ID": "test", "PROCESSES": "1", "THREADS": "1"}


def variables(given: Mapping[str, Any]) -> Dict[str, str]:
    """The variables that say these settings, which a test gives by the same names in lower case; None: it does not give it.
    Raises TypeError for a name that is none."""
    known = [row.environment for row in TABLE.values()]
    found = {}
    for name, value in given.items():
        variable = name.upper()
        if variable not in known and not variable.startswith(tuple(ALL_PREFIXES)):
            near = nearest(variable, known)
            raise TypeError(f"there is no setting {name}{f'; did you mean {near.lower()}?' if near else ''}")
        if value is not None:
            found[variable] = _in_words(value)
    return found


def _in_words(value: Any) -> str:
    """As one would write it: a handler or an error is written by its name."""
    if isinstance(value, dict):
        return ",".join(f"{name}={_in_words(each)}" for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return ",".join(map(_in_words, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, type):
        return value.__qualname__ if value.__module__ == "builtins" else f"{value.__module__}.{value.__qualname__}"
    return importable(value) if callable(value) else written(value)


def settings_of(given: Mapping[str, Any]) -> Settings:
    """The settings that they make, without those of this process's environment, and of any `.env`. Raises
    ConfigurationError."""
    return load.load([], {**USUAL, **variables(given)}, os.devnull).settings


def importable(function: Callable[..., Any]) -> str:
    """The name by which other processes find this function. Raises TypeError where they can't."""
    module, path = str(getattr(function, "__module__", None)), str(getattr(function, "__qualname__", None))
    found: Any = None
    with contextlib.suppress(KeyError, AttributeError):
        found = functools.reduce(getattr, path.split("."), sys.modules[module])
    if found != function or module == "__main__":
        raise TypeError(f"{function!r} must be a function that other processes can import: module:function")
    return f"{module}:{path}"


def environment() -> Dict[str, str]:
    """That of the test, as it is now, with its path: handlers in other processes have it, too."""
    path = [os.path.abspath(each) for each in sys.path if _is_users(each)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def _is_users(folder: str) -> bool:
    """Whether it is a folder of the user's on the path, and none of Python's, or with what is installed."""
    path = os.path.realpath(folder or ".")
    installed = {"site-packages", "dist-packages"}.intersection(path.split(os.sep))
    return os.path.isdir(path) and not installed and not path.startswith(os.path.dirname(os.path.realpath(os.__file__)))
