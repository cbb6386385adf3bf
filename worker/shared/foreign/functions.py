"""Functions of the user's, by the names that settings give: `module:function`."""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib
import inspect
import pkgutil
import sys
from typing import Any, Callable, List, Optional

from kafka_worker import start
from kafka_worker.shared.configuration.near import nearest
from kafka_worker.shared.foreign.errors import quoted
from kafka_worker.shared.output import last_words
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import forks, room
from kafka_worker.shared.system.surroundings import Surroundings, after_import

VERY_LIKE = 0.75  # of difflib's ratio: there are hundreds of modules


class NoFunctionError(Exception):
    """A setting names nothing that can be called; the text says what and why."""


def imported_with_care(name: str, source: str, settings: Optional[Settings], *, apart: bool = False) -> Callable[..., Any]:
    """The function `name`, which `source` says. Raises NoFunctionError, also when its module, or one that it imports, has
    changed what we rely on; `apart`: in a task process, which relies on little."""
    before = Surroundings()
    lacking = [] if settings is None or apart else room.make(settings)  # already, as somebody else has lowered a limit
    with last_words.while_(f"importing {source}"):
        function = _imported(name, source)
    after_import()
    faults = before.faults(apart=apart)
    if settings is not None and not apart:
        faults += [f"lowers a limit: {fault}" for fault in room.make(settings) if fault not in lacking]
    if faults:
        raise NoFunctionError(f"{source} {'; '.join(faults)}")
    return function


def _place(problem: BaseException) -> str:
    """Which line of which module it was that could not be run: the innermost of those that were being imported."""
    place, trace = "", None
    with contextlib.suppress(BaseException):  # it is the user's object
        trace = problem.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_name == "<module>":
            place = f" in {code.co_filename}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _meant(name: str, problem: BaseException) -> List[str]:
    """What somebody may have meant whose name leads to nothing: a module, or what is in it, of nearly this name."""
    module, _, function = name.partition(":")
    meant = ""
    with contextlib.suppress(BaseException):  # what is looked through is the user's
        if module in sys.modules:
            near = _near_within(sys.modules[module], function.split("."))
            meant = near and f"{module}:{near}"
        elif type(problem) is ModuleNotFoundError and problem.name and f"{module}.".startswith(f"{problem.name}."):
            near = _near_module(problem.name)
            meant = near and f"{near}{module[len(problem.name) :]}:{function}"
    return [f"did you mean {meant}?"] if meant else []


def _for_one_alone(problem: BaseException) -> List[str]:
    """What the module does and only one process can: to listen at a port, to take a lock. At the start it may be the first of
    several, in a rolling restart the successor of one that still works."""
    if isinstance(problem, OSError) and problem.errno in (errno.EADDRINUSE, errno.EWOULDBLOCK):
        return ["each process of the service imports it, in a rolling restart two at a time, and only one can have that"]
    return []


def _near_module(missing: str) -> str:
    above, _, last = missing.rpartition(".")
    there = pkgutil.iter_modules(sys.modules[above].__path__ if above else None)
    near = nearest(last, [each.name for each in there], VERY_LIKE)
    return near and f"{above}.{near}".lstrip(".")


def _near_within(found: Any, steps: List[str]) -> str:
    """By the first of these steps from one thing to the next that leads nowhere."""
    if hasattr(found, steps[0]):
        near = _near_within(getattr(found, steps[0]), steps[1:]) if steps[1:] else ""
        return near and f"{steps[0]}.{near}"
    near = nearest(steps[0], [each for each in dir(found) if not each.startswith("_")])
    return near and ".".join([near, *steps[1:]])


def _imported(name: str, source: str) -> Callable[..., Any]:
    module_name, _, function_name = name.partition(":")
    *path, last = function_name.split(".")
    try:
        owner = functools.reduce(getattr, path, importlib.import_module(module_name))
        function: Callable[..., Any] = getattr(owner, last)
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # a user's module may raise anything, SystemExit included
        more = [*_meant(name, problem), *_for_one_alone(problem), *start.hidden(), *start.out_of_reach()]
        raise NoFunctionError(
            f"{source} cannot be imported: {quoted(problem)}{_place(problem)} (wanted: "
            f"module:function, importable from the folder the service runs in){'; '.join(['', *more])}"
        ) from problem
    finally:
        if forks.copied:
            forks.end()
    if not callable(function):
        raise NoFunctionError(f"{source} is a {type(function).__name__}, not a function. Name a function")
    if inspect.isclass(owner) and inspect.isfunction(inspect.getattr_static(owner, last)):
        raise NoFunctionError(
            f"{source} is a method of a class, and there is no object; wanted: a function, or a method of an object"
        )
    return function
