"""A peer as a side: so many processes of its program, and nobody who looks after them but the bench."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import Any, Callable, List

import psutil

from bench.environments import FOLDER
from bench.sides.side import Setting
from tests.support.kafka_jars import ROOT

STOP_SECONDS = 40.0
SPAWNED = "multiprocessing.spawn"  # on the command line of the processes of a pool


class Crew:
    """Processes of one program."""

    def __init__(self, command: List[str], setting: Setting, *, processes: int, forks: bool = False) -> None:
        """They are on their way when this returns. `forks`: the program makes its workers itself, several or none."""
        self.members = setting.processes
        self.can_roll = not forks
        self._command = command
        self._forks = forks
        self._environment = {**os.environ, **setting.environment(), "PYTHONPATH": str(ROOT)}
        FOLDER.mkdir(parents=True, exist_ok=True)
        self._log = FOLDER / f"{setting.group}.log"
        self._programs = [self._start(place) for place in range(processes)]

    def processes(self) -> List[int]:
        found = []
        for program in self._programs:
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(program.pid)
                found += [process.pid, *(child.pid for child in process.children(recursive=True))]
        return found

    def workers(self) -> List[int]:
        if not self._forks:
            return [program.pid for program in self._programs if program.poll() is None]
        spawned = []
        for pid in self.processes():
            with contextlib.suppress(psutil.Error):
                if any(SPAWNED in word for word in psutil.Process(pid).cmdline()):
                    spawned.append(pid)
        return spawned or [program.pid for program in self._programs]

    def roll(self, complete: Callable[[], Any]) -> None:
        for place, program in enumerate(self._programs):
            program.terminate()
            try:
                program.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._kill(program)
            self._programs[place] = self._start(place)
            complete()

    def complaint(self) -> str:
        if any(program.poll() is None for program in self._programs):
            return ""
        return self._log.read_text(errors="replace")[-2000:] or "it ended without a word"

    def close(self) -> None:
        for program in self._programs:
            self._kill(program)
        self._log.unlink()

    def _start(self, place: int) -> subprocess.Popen[bytes]:
        env = {**self._environment, "BENCH_PLACE": str(place)}
        with open(self._log, "ab") as log:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self._command],
                cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    @staticmethod
    def _kill(program: subprocess.Popen[bytes]) -> None:
        """With its workers, who are in its session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait()
