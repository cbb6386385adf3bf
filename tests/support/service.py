"""Drives the real command, `python supervisor.py`, as an operator would."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from kafka_worker.shared.ipc import control
from kafka_worker.shared.settings import TABLE
from tests.support.eventually import eventually
from tests.support.kafka_jars import ROOT
from tests.support.ledger import Ledger
from tests.support.processes import GONE_SECONDS, MARKER, kill_marked, marked_processes, marker_value

READY_SECONDS = 60.0
COMMAND_SECONDS = 30.0

PROTOCOL = os.environ.get("TEST_GROUP_PROTOCOL", "classic")  # of the groups of all services

SHOWN_LINES = 300  # of the log, when a test fails


class Service:
    """One supervisor with its processes. Use it in a `with`, by the fixture `service`, or close it."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        group: str,
        *,
        processes: int = 2,
        threads: int = 4,
        handler: str = "tests.support.handlers:work",
        env: Optional[Mapping[str, str]] = None,
        flags: Sequence[str] = (),
        prefix: Sequence[str] = (),
        program: Sequence[str] = (sys.executable, str(ROOT / "supervisor.py")),
        cwd: Optional[str] = None,
        handlers_of_tests: bool = True,
        ledger: Optional[Ledger] = None,
        runtime_directory: Optional[str] = None,
    ) -> None:
        """`prefix`: a command to run under, as `nsenter` with its options; it must exec, not fork. `program`: what is run, by
        its path; `cwd`: where, a folder of its own if not given. `handlers_of_tests`: whether PYTHONPATH leads to them, too.
        A given runtime directory is kept. Settings of our own environment and of a `.env` do not get in.
        """
        self._folder = tempfile.mkdtemp(prefix="svc-")  # short: a Unix socket's path has 107 bytes
        self._cwd = cwd or self._folder
        self.runtime_directory = runtime_directory or self._folder
        self.ledger = ledger or Ledger(str(Path(self._folder) / "ledger"))
        self.topic, self.group = topic, group
        self._log = Path(self._folder) / "log"
        self._marker = marker_value(uuid.uuid4().hex)
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._command = [
            "setpriv", "--pdeathsig", "KILL", *prefix, *program,
            "--processes", str(processes), "--threads", str(threads),
            "--topic", topic, "--group", group, "--handler", handler, *flags,
        ]  # fmt: skip
        tests = {"LEDGER": self.ledger.path, MARKER: self._marker}
        ours = self._settings(bootstrap, env or {}, str(ROOT) if handlers_of_tests else "")
        self._environment = {**_without_settings(os.environ), **tests, **ours}

    def _settings(self, bootstrap: str, env: Mapping[str, str], handlers: str) -> Dict[str, str]:
        """As variables of the environment. `handlers`: a folder of some, for PYTHONPATH."""
        ours = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "RUNTIME_DIRECTORY": self.runtime_directory, **env}
        if PROTOCOL == "consumer":  # by that protocol the session is the brokers': those of tests have the same short one
            ours.pop("KAFKA_CONSUMER_SESSION_TIMEOUT_MS", None)
            ours["KAFKA_CONSUMER_GROUP_PROTOCOL"] = PROTOCOL
        ours["PYTHONPATH"] = os.pathsep.join(filter(None, [ours.get("PYTHONPATH", ""), handlers]))
        return ours

    # ---- its life ----

    def start(self, output: Optional[int] = None) -> Service:
        """Start the command; with what a former one left, if it was started before. `output`: a descriptor to write to in
        place of the log."""
        assert self.returncode is not None or self._process is None, "this service runs already"
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._cwd,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log if output is None else output,
                stderr=log if output is None else output,
                start_new_session=True,
            )
        return self

    def wait_ready(self, timeout: float = READY_SECONDS, partitions: int = 0) -> Service:
        """Until every process has its place in the group, and its share of so many partitions."""
        eventually(lambda: self._ready(partitions), timeout, f"every process of {self.group} has joined")
        return self

    def signal(self, number: int) -> None:
        """To the supervisor alone."""
        assert self._process, "this service was not started"
        self._process.send_signal(number)

    def terminate(self) -> None:
        """Ask it to stop in order."""
        self.signal(signal.SIGTERM)

    def roll(self, timeout: float) -> None:
        """A rolling restart, to its end."""
        rolled = self.log.count("Rolling restart: done")
        self.signal(signal.SIGHUP)
        eventually(lambda: self.log.count("Rolling restart: done") > rolled, timeout, "the rolling restart is done")

    def kill(self) -> None:
        """`kill -9` of the supervisor, whose processes are on their own then."""
        self.signal(signal.SIGKILL)

    def wait(self, timeout: float) -> int:
        """The exit code of the supervisor, within `timeout` seconds; negative: the signal that killed it."""
        assert self._process, "this service was not started"
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the supervisor did not end within {timeout:g} s") from None

    def close(self) -> None:
        """End whatever is left. Fails when a supervisor that ended by itself has left processes behind."""
        if not Path(self._folder).exists():  # the test has closed it before its fixture does
            return
        by_itself = self.returncode is not None and self.returncode >= 0
        try:
            if by_itself:
                eventually(
                    lambda: not self.pids(),
                    GONE_SECONDS,
                    "no process outlives a supervisor that ended by itself",
                )
        finally:
            try:
                self._kill_all()
            finally:
                print(f"---- log of {self.group} (exit code {self.returncode}) ----")  # pytest shows it when the test fails
                print("\n".join(self.log.splitlines()[-SHOWN_LINES:]))
                shutil.rmtree(self._folder)

    def __enter__(self) -> Service:  # noqa: PYI034 (typing.Self needs Python 3.11)
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _kill_all(self) -> None:
        """The supervisor first, who would replace the others."""
        if self._process:
            self._process.kill()
            self._process.wait()
        kill_marked(self._marker)

    # ---- what it says ----

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the same command once more, with the same settings and `words`: `status`, `--check-config`."""
        return subprocess.run(
            [*self._command, *words],
            cwd=self._cwd,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )

    @contextlib.contextmanager
    def beside(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """The same command once more with `words`, beside the service for a while: `serve`. It writes to the same log."""
        with open(self._log, "ab") as log, subprocess.Popen(
            [*self._command, *words], cwd=self._cwd, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                process.terminate()

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        assert self._process, "this service was not started"
        return self._process.pid

    @property
    def returncode(self) -> Optional[int]:
        """Of the supervisor, None as long as it runs (and before it was started)."""
        return self._process.poll() if self._process else None

    @property
    def log(self) -> str:
        """Everything its processes have written so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def pids(self) -> List[int]:
        """All processes of this service, supervisor and orphans included."""
        return marked_processes(self._marker)

    def status(self) -> Dict[str, Any]:
        """The snapshot. Raises control.NotRunningError when nobody answers."""
        # The name of its folder has the service's host in it, which may not be ours; another host's may be beside it.
        for path in Path(self.runtime_directory).glob("*/control"):
            with contextlib.suppress(control.NotRunningError):
                snapshot = control.ask(str(path), {"command": "status"})
                if snapshot["pid"] == self.pid:
                    return snapshot
        raise control.NotRunningError(f"nobody answers in {self.runtime_directory} for process {self.pid}")

    def slots(self) -> List[Dict[str, Any]]:
        """The snapshot's slots; none while nobody answers."""
        try:
            return list(self.status()["slots"])
        except control.NotRunningError:
            return []

    def children(self) -> Dict[int, int]:
        """Slot to pid, of the slots that have a process now."""
        return {slot["slot"]: slot["pid"] for slot in self.slots() if slot["pid"]}

    def partitions(self) -> Dict[int, Set[Tuple[str, int]]]:
        """Slot to the partitions that its process owns, as of its last heartbeat."""
        return {
            slot["slot"]: {(owned["topic"], owned["partition"]) for owned in slot["child"]["partitions"]}
            for slot in self.slots()
            if slot["child"]
        }

    def _ready(self, partitions: int) -> bool:
        if self.returncode is not None:
            raise AssertionError(f"the supervisor ended with {self.returncode} before it was ready:\n{self.log[-5000:]}")
        slots = self.slots()
        children = [slot["child"] for slot in slots if slot["pid"] and slot["child"] and slot["child"]["joined"]]
        owned = [len(child["partitions"]) for child in children]
        everybody = bool(slots) and len(children) == len(slots)
        return everybody and sum(owned) >= partitions and min(owned) >= partitions // len(slots)


def _without_settings(environment: Mapping[str, str]) -> Dict[str, str]:
    """A developer's own settings stay out, so that a test means the same everywhere."""
    ours = {row.environment + suffix for row in TABLE.values() for suffix in ("", "_FILE")}
    return {
        name: value for name, value in environment.items() if name not in ours and not name.startswith(("KAFKA_", "TEST_"))
    }
