"""How every process of the service begins. All but the supervisor are `python …/start.py MODULE WORDS…`; `supervisor.py`, the
command `kafka-worker` and `python -m kafka_worker` call `run`, too.

1. This folder becomes the package `kafka_worker`, wherever it lies: nothing has to be installed, and every process of a
   service has the same code.
2. We import what we need while the user's folders stand last on the path: a `logging.py` of theirs is not taken for the
   standard library's.
3. Where handlers are loaded, the user's folders come first, as everywhere in Python, and none of ours is on the path: their
   `worker`, `tests` or `kafka` are theirs.

Until (2) is done, only what every interpreter has loaded by itself may be imported here.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as in `typing`, which is not loaded yet
if TYPE_CHECKING:
    from types import ModuleType

NAME = "kafka_worker"
FOLDER = os.path.dirname(os.path.realpath(__file__))
CONFIGURATION = 78  # of `exit_codes`
COMMANDS = ("ops.commands", "ops.first_run.command", "testing.command")  # what people type; our own processes start the rest
PYTHON, ENVIRONMENT = sys.executable, dict(os.environ)  # as we were started: a handler may change both
_OURS = list(sys.path)  # the path for our own imports: this module came by it
IN_CHECKOUT, INSTALLED = "supervisor.py", "kafka-worker"  # what the command is called


def command(module: str, *words: str) -> list[str]:
    """The command line of another process of ours: the `main` of `kafka_worker.<module>`, which finds the words in
    `sys.argv`."""
    return [PYTHON, os.path.join(FOLDER, "start.py"), module, *words]


def program() -> str:
    """What the command calls itself in its texts: the name it was started by, or, if that was not its own (`python -m`, the
    first run), the one that can be typed here."""
    name = os.path.basename(sys.argv[0])
    if name in (IN_CHECKOUT, INSTALLED):
        return name
    return IN_CHECKOUT if os.path.exists(os.path.join(os.path.dirname(FOLDER), IN_CHECKOUT)) else INSTALLED


def run(module: str) -> int:
    """Run the `main` of `kafka_worker.<module>`; if it can't even be imported, say which of the user's files may be why.

    Signals come first: whoever typed a command may change their mind before its imports are done, and what we start ourselves
    is the supervisor's to end. `_signal` is the interpreter's own module: `signal` would import a dozen others."""
    import _signal  # type: ignore[import-not-found]
    from _signal import SIG_BLOCK, SIG_UNBLOCK, SIGHUP, SIGINT, SIGTERM, pthread_sigmask

    if not os.path.isfile(os.path.join(FOLDER, "start.py")):
        print(f"{FOLDER} is in an archive, and processes begin with files. Unpack it, or pip install it", file=sys.stderr)
        return CONFIGURATION
    pthread_sigmask(SIG_BLOCK, [SIGTERM, SIGINT, SIGHUP])
    # Some start services with that ignored, and then nobody hears how a process ends: what failed seems to have succeeded.
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    os.umask(os.umask(0o077) & 0o077)  # what we make, we must be able to open
    users_last()
    register()
    from importlib import import_module

    from kafka_worker.shared.system import signals

    if module in COMMANDS:
        signals.note(SIGTERM, SIGINT, SIGHUP)
    else:
        signals.disregard(SIGINT, SIGHUP)
    pthread_sigmask(SIG_UNBLOCK, [SIGTERM, SIGINT, SIGHUP])
    try:
        main = import_module(f"{NAME}.{module}").main
    except Exception as problem:
        if not explained(problem):
            raise
        return CONFIGURATION
    code = int(main() or 0)
    signals.ignore(SIGTERM, SIGINT, SIGHUP)  # too late: one of them would end us in the midst of the interpreter's end
    return code


def register() -> None:
    """Make this folder the package `kafka_worker`, unless it is that already."""
    if NAME in sys.modules:
        return
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location(NAME, os.path.join(FOLDER, "__init__.py"), submodule_search_locations=[FOLDER])
    if spec is None or spec.loader is None:
        raise ImportError(FOLDER)
    package = module_from_spec(spec)
    sys.modules[NAME] = package
    spec.loader.exec_module(package)


def users_last() -> None:
    """The path for our own imports: what PYTHONPATH names may hold libraries that we need, so it stays, but at the end. The
    program's folder goes: it is ours, or with `python -m` the one we were started in."""
    given = python_path()
    program = [path for path in sys.path[:1] if os.path.realpath(path) in (FOLDER, os.path.realpath(here()))]
    sys.path[:] = [path for path in sys.path[len(program) :] if path not in given] + given


def late(module: str) -> ModuleType:
    """A module that few need, imported when the user's folders already come first, as if they did not. (The user's threads, if
    there are any, see that order for a moment, too.)"""
    from importlib import import_module

    users, sys.path[:] = sys.path[:], _OURS
    try:
        return import_module(module)
    finally:
        sys.path[:] = users


def users_first() -> None:
    """The path for the user's imports."""
    first = [*([] if getattr(sys.flags, "safe_path", False) else [here()]), *python_path()]
    sys.path[:] = first + [path for path in sys.path if path not in first]


def have(environment: dict[str, str]) -> None:
    """Set these variables, too: those of `.env`, where the user's code is called."""
    os.environ.update(environment)


def python_path() -> list[str]:
    """The folders that PYTHONPATH names, as Python writes them."""
    return [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def here() -> str:
    """The folder that we were started in; the root, when it is gone."""
    try:
        return os.getcwd()
    except OSError:
        return os.sep


def require(library: str) -> None:
    """Raise what its import would if it is not installed; for libraries that only other processes of ours import."""
    from importlib.util import find_spec

    if find_spec(library) is None:
        raise ModuleNotFoundError(f"No module named {library!r}", name=library)


def explained(problem: Exception) -> bool:
    """Whether whoever started us can mend it, and has now been told: files of theirs were imported in place of others, or this
    Python lacks libraries that we need (or has too old ones)."""
    return _hidden_explains(problem) or _lacking_explains(problem)


def _lacking_explains(problem: Exception) -> bool:
    name = problem.name if isinstance(problem, ImportError) else None
    if not name or name.partition(".")[0] == NAME:
        return False
    checkout = os.path.dirname(FOLDER)
    there = os.path.exists(os.path.join(checkout, IN_CHECKOUT))
    what = f"-r {os.path.join(checkout, 'requirements.txt')}" if there else INSTALLED
    print(
        f"{problem}: {PYTHON} lacks a library that is needed, or has one that is too old. Start it by the Python of the "
        f"environment that has them all, or do: {PYTHON} -m pip install {what}",
        file=sys.stderr,
    )
    return True


def _hidden_explains(problem: Exception) -> bool:
    trace, stand_ins = problem.__traceback__, hidden()
    importing = False
    while trace is not None:
        at = trace.tb_frame
        importing = importing or (at.f_code.co_name == "<module>" and str(at.f_globals.get("__name__")).startswith(NAME))
        trace = trace.tb_next
    if importing and stand_ins:
        print("; ".join([f"{type(problem).__name__}: {problem}", *stand_ins]), file=sys.stderr)
    return bool(importing and stand_ins)


def hidden() -> list[str]:
    """Which modules that are loaded from the user's folders hide others of the same name, the standard library's or a
    library's."""
    return _hidden([here(), *python_path()], _others())


def out_of_reach() -> list[str]:
    """The other way round: which of the user's files are hidden, because a module of that name is loaded already."""
    return _hidden(_others(), [here(), *python_path()])


def _others() -> list[str]:
    users = [here(), *python_path()]
    return [path for path in map(os.path.abspath, sys.path) if path not in users]


def _hidden(loaded_from: list[str], behind: list[str]) -> list[str]:
    from importlib.machinery import PathFinder

    found = []
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if "." in name or not file:
            continue
        place = os.path.dirname(os.path.abspath(file))
        place = os.path.dirname(place) if os.path.basename(file).startswith("__init__.") else place
        spec = PathFinder.find_spec(name, behind) if place in loaded_from else None
        if spec is not None and spec.origin:
            found.append(f"{file} hides {spec.origin}")
    return found


if __name__ == "__mp_main__":  # in a process that a handler starts by `multiprocessing`
    register()
if __name__ == "__main__":
    sys.exit(run(sys.argv.pop(1)))
