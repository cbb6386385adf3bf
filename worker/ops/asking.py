"""Which service is meant by our settings, and asking it."""

from __future__ import annotations

from typing import Any, Callable, Dict, NamedTuple

from kafka_worker.shared.ipc import control
from kafka_worker.shared.output.streams import complain
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import runtime_files

QUESTION = {"command": "status"}
NOT_RUNNING = 2  # exit code: nobody answers


class RunningService(NamedTuple):
    """A service that runs."""

    path: str  # of its control socket
    snapshot: Dict[str, Any]

    def inquire(self, slot: int, question: Dict[str, Any]) -> Dict[str, Any]:
        """Ask the process of a slot. An answer with `error` is none. Raises NotRunningError."""
        return self.ask("inquire", {"slot": slot, "question": question})

    def ask(self, command: str, request: Dict[str, Any]) -> Dict[str, Any]:
        """Ask the supervisor something else. An answer with `error` is none. Raises NotRunningError."""
        return control.ask(self.path, {"command": command, **request})


def exit_code_of(settings: Settings, command: Callable[[RunningService], int]) -> int:
    """The exit code of a command that asks the service; that nobody answers is told in words."""
    try:
        return command(find(settings))
    except control.NotRunningError as problem:
        complain(problem.told)
        return NOT_RUNNING


def find(settings: Settings) -> RunningService:
    """The service, and what it says. It goes by the name that this machine had when it was started, which may have changed
    since. Raises NotRunningError."""
    path = runtime_files.control_socket(settings)
    try:
        return RunningService(path, control.ask(path, QUESTION))
    except control.NotRunningError as problem:
        untold = problem
        for other in runtime_files.other_control_sockets(settings):
            try:
                found = RunningService(other, control.ask(other, QUESTION, nearby=True))
            except control.SilentError as silent:  # it may be the one that is meant
                untold = untold if isinstance(untold, control.SilentError) else silent
            except control.NotRunningError:
                continue
            else:
                if found.snapshot.get("group") == settings.group_id:
                    return found
        raise untold from None
