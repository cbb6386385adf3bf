"""`python supervisor.py top`: `status` again and again, live in a terminal, until it is interrupted. Where there is no
terminal, or not the library that draws in one, the same is printed as plain text.

It stays when the service goes, and shows it again when it is back. Exit code: 0.
"""

from __future__ import annotations

import importlib.util
import select
import signal
import sys
from typing import Callable, List, Tuple

from kafka_worker.ops import asking
from kafka_worker.ops.views import status
from kafka_worker.shared.configuration.load import Configuration
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.foreign.texts import escaped
from kafka_worker.shared.ipc import control
from kafka_worker.shared.ipc.snapshot import Snapshot, from_json
from kafka_worker.shared.output.streams import complain, show
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system.signals import SignalInbox

SECONDS = 1.0  # between two looks
NEEDED = "live display needs one more library, so this is plain text: pip install -r requirements-top.txt"

#: How a line looks that begins so.
STYLES: Tuple[Tuple[str, str], ...] = (
    ("HEALTHY", "bold green"),
    ("DEGRADED", "bold red"),
    ("Not running", "bold red"),
    ("No answer", "bold red"),
    ("  problem: ", "red"),
    ("SLOT ", "bold"),
    ("RUNNING FOR ", "bold"),
)


def run(configuration: Configuration) -> int:
    """The command; its exit code."""
    inbox = SignalInbox([signal.SIGINT, signal.SIGTERM])
    in_terminal = sys.stdout.isatty() and importlib.util.find_spec("rich")
    (_live if in_terminal else _plain)(_look(configuration.settings), inbox)
    return ExitCode.OK


def _look(settings: Settings) -> Callable[[], List[str]]:
    """What gives the lines of this moment."""

    def lines() -> List[str]:
        try:
            text = status.text(from_json(Snapshot, asking.find(settings).snapshot))
        except control.NotRunningError as problem:
            text = problem.told
        return [escaped(line) for line in text.split("\n")]

    return lines


def _ended(inbox: SignalInbox) -> bool:
    """Wait until it is time to look again; whether to end in place of that."""
    return bool(select.select([inbox], [], [], SECONDS)[0])


def _plain(look: Callable[[], List[str]], inbox: SignalInbox) -> None:
    if sys.stdout.isatty():
        complain(NEEDED)
    show("\n".join(look()))
    while not _ended(inbox):
        show("\n".join(["", *look()]))


def _live(look: Callable[[], List[str]], inbox: SignalInbox) -> None:
    """On a screen of its own, as large as the terminal is at the moment; the former one is there again afterwards."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    def frame() -> Text:
        lines = [Text(line, style=_style(line)) for line in look()]
        return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)

    with Live(frame(), console=Console(highlight=False), screen=True, auto_refresh=False) as display:
        while not _ended(inbox):
            display.update(frame(), refresh=True)


def _style(line: str) -> str:
    return next((style for start, style in STYLES if line.startswith(start)), "")
