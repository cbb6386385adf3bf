"""The service as a first run sees it: `supervisor.py` in another process, its log, and its control socket."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import IO, Any, Dict, List, Mapping, Sequence, cast

from kafka_worker import start
from kafka_worker.shared.configuration import load
from kafka_worker.shared.ipc import control
from kafka_worker.shared.settings import ALL_PREFIXES, TABLE
from kafka_worker.shared.system import runtime_files

_PROPERTIES = ("KAFKA_", *ALL_PREFIXES)  # of clients, and what is named like them
STOP_SECONDS = 15.0  # for the service to end by itself; the drain deadline of a first run is 10
LONGEST_READ = 65536  # bytes, what a pipe holds


def without_settings(environment: Mapping[str, str]) -> Dict[str, str]:
    """What of an environment is not meant for the service: it does the same whatever is set there."""
    ours = {row.environment + suffix for row in TABLE.values() for suffix in ("", "_FILE")}
    return {name: value for name, value in environment.items() if name not in ours and not name.startswith(_PROPERTIES)}


class Service:
    """A running supervisor. Whoever makes one has to call `close`."""

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], directory: str, command: str = "ops.commands"
    ) -> None:
        """Start `command` with these words after the program's name. It works in `directory`, where no `.env` file of the user
        must lie that changes it. Raises ConfigurationError.
        """
        settings = load.load(words, environment, os.devnull).settings
        self._socket = runtime_files.control_socket(settings)
        self._rest = b""  # of the log: the line that is still being written
        self._process = subprocess.Popen(
            start.command(command, *words),
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in a terminal reaches the first run alone, which passes it on
        )
        self._log = cast("IO[bytes]", self._process.stdout)
        self.ended = False  # the supervisor, and every child that had its log

    def fileno(self) -> int:
        """For a selector: readable when there is more of the log, or its end."""
        return self._log.fileno()

    def read_lines(self) -> List[str]:
        """The lines that are complete by now. Waits when there is nothing to read."""
        chunk = os.read(self._log.fileno(), LONGEST_READ)
        self.ended = not chunk
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def slots(self) -> List[Dict[str, Any]]:
        """What the supervisor says of its slots; none when it does not answer."""
        try:
            return cast("List[Dict[str, Any]]", control.ask(self._socket, {"command": "status"})["slots"])
        except control.NotRunningError:
            return []

    @property
    def running(self) -> bool:
        """Whether the supervisor does."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Ask it to stop in order; asked again, it hurries."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def exit_status(self) -> int:
        """The exit code, as `subprocess` gives it. Waits for the end, and forces it when that takes too long."""
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its children notice, and end by themselves
            return self._process.wait()

    def close(self) -> None:
        """Leave no process behind, whatever happened. The log goes first: nobody reads it any more, and a
        full pipe would hold up those who write.
        """
        self._log.close()
        if self._process.poll() is None:
            self.stop()
            self.exit_status()
