"""`supervisor.py top`, in a terminal and elsewhere."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from typing import Dict, Iterator, List

import pytest

from kafka_worker.shared.ipc.snapshot import as_json
from tests.support.answering import answering, service_environment
from tests.support.kafka_jars import ROOT
from tests.unit.reports import child, slot, snapshot

pytestmark = pytest.mark.processes

SECONDS = 30.0
OTHER_SCREEN, FORMER_SCREEN = "\x1b[?1049h", "\x1b[?1049l"
RED = "\x1b[31m"
WELL = as_json(snapshot(slot(child=child())))
BROKEN = {**WELL, "problems": ["slot 0: \x1b]0;all is well\x07"]}
COMMAND = [sys.executable, str(ROOT / "supervisor.py"), "top"]


@pytest.fixture
def environment() -> Iterator[Dict[str, str]]:
    with service_environment() as ours:
        yield ours


class Terminal:
    """A terminal with the command in it."""

    def __init__(self, environment: Dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            COMMAND, env=environment, cwd=environment["RUNTIME_DIRECTORY"], stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        self.seen = ""

    def shows(self, text: str) -> None:
        """Until it has."""
        deadline = time.monotonic() + SECONDS
        while text not in self.seen:
            assert select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))[0], f"{text!r} in {self.seen!r}"
            self.seen += os.read(self._ours, 65536).decode()

    def ends(self) -> int:
        """With all that it says at last."""
        self.process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # a terminal that nobody has open any more can't be read
            while True:
                self.seen += os.read(self._ours, 65536).decode()
        return self.process.wait(SECONDS)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@contextlib.contextmanager
def terminal(environment: Dict[str, str], **more: str) -> Iterator[Terminal]:
    made = Terminal({**environment, "TERM": "xterm-256color", **more})
    try:
        yield made
    finally:
        made.close()


def test_in_a_terminal_it_is_live_outlasts_the_service_and_leaves_the_screen_as_it_was(environment: Dict[str, str]) -> None:
    with answering(environment, BROKEN), terminal(environment) as screen:
        screen.shows("DEGRADED")
        screen.shows(RED + "  problem: slot 0: \\x1b]0;all is well")
    with terminal(environment, NO_COLOR="1") as screen:
        screen.shows("Not running")
        with answering(environment, WELL):
            screen.shows("HEALTHY")
        code = screen.ends()

    assert code == 0
    assert RED not in screen.seen
    assert OTHER_SCREEN in screen.seen
    assert screen.seen.rindex(FORMER_SCREEN) > screen.seen.rindex("HEALTHY")


def test_elsewhere_it_is_plain_text_again_and_again(environment: Dict[str, str]) -> None:
    with answering(environment, WELL), subprocess.Popen(
        COMMAND, env=environment, cwd=environment["RUNTIME_DIRECTORY"], stdout=subprocess.PIPE, text=True
    ) as process:  # fmt: skip
        assert process.stdout is not None
        lines: List[str] = []
        while sum(line.startswith("HEALTHY") for line in lines) < 2:
            lines.append(process.stdout.readline())
        process.send_signal(signal.SIGTERM)

        assert process.wait(SECONDS) == 0
    assert not any("\x1b" in line for line in lines)
