"""What commands say by their exit codes when nobody reads what they print."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.kafka_jars import ROOT

CODES = {"status": 2, "explain t": 2, "pauses": 2, "statsu": 78, "check --threads x": 78}


def pipe_without_reader() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize("full", [False, True], ids=["closed", "full"])
def test_an_exit_code_is_the_same_when_nobody_reads(tmp_path: Path, *, full: bool) -> None:
    environment = {"PATH": os.environ["PATH"], "KAFKA_GROUP_ID": "g", "KAFKA_TOPIC": "t", "RUNTIME_DIRECTORY": str(tmp_path)}
    unread = os.open("/dev/full", os.O_WRONLY) if full else pipe_without_reader()
    # A full disk keeps `check` from its work, which is to print.
    out = subprocess.DEVNULL if full else unread

    codes = {
        words: subprocess.run(
            [sys.executable, str(ROOT / "supervisor.py"), *words.split()],
            stdout=out, stderr=unread, cwd=tmp_path, env=environment, check=False,
        ).returncode
        for words in CODES
    }  # fmt: skip

    os.close(unread)
    assert codes == CODES


def test_settings_that_were_checked_and_nobody_reads_are_not_told_as_printed_by_handlers(tmp_path: Path) -> None:
    unread = pipe_without_reader()
    command = [sys.executable, str(ROOT / "supervisor.py"), "--check-config", "--bootstrap-servers", "x:1", "--group", "g"]

    checked = subprocess.run(command, stdout=unread, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False)

    os.close(unread)
    assert (checked.returncode, checked.stderr) == (0, "")


TOSTOP = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
modes = termios.tcgetattr(0)
modes[3] |= termios.TOSTOP
termios.tcsetattr(0, termios.TCSANOW, modes)
if os.fork():
    sys.exit(os.wait()[1] >> 8)
os.setpgid(0, 0)  # in the background
sent = []
signal.signal(signal.SIGTTOU, lambda *_: sent.append(1) or (len(sent) > 9 and os._exit(9)))
from kafka_worker.shared.output.log_writer import LogWriter
LogWriter(1, lambda _: b"").put(b"written\\n")
os._exit(len(sent))
"""


def test_a_terminal_that_stops_who_writes_in_the_background_takes_what_we_write() -> None:
    """`stty tostop`. SIGTTOU is one process less, to a supervisor."""
    ours, theirs = pty.openpty()

    ended = subprocess.run(
        [sys.executable, "-c", TOSTOP], stdin=theirs, stdout=theirs, cwd=ROOT, start_new_session=True, check=False, timeout=30
    )

    os.close(theirs)
    assert ended.returncode == 0
    assert os.read(ours, 100) == b"written\r\n"
    os.close(ours)


FOLLOWED = """
import types
from kafka_worker.ops import asking, events
from kafka_worker.shared.configuration.load import load
from kafka_worker.shared.output import streams

event = {"message": "one", "event": "assigned"}
asking.find = lambda _: types.SimpleNamespace(ask=lambda *_: {"events": [event], "newest": 1})
raise SystemExit(streams.guarded(lambda _: events.run(load(["events", "--group", "g", "--follow"], {}, "no.env"))))
"""


def test_whoever_follows_ends_when_the_first_line_finds_no_reader() -> None:
    """As with `| head -1`."""
    unread = pipe_without_reader()

    ended = subprocess.run([sys.executable, "-c", FOLLOWED], cwd=ROOT, stdout=unread, check=False, timeout=30)

    os.close(unread)
    assert ended.returncode == 0
