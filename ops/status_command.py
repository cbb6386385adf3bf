"""`supervisor.py status` and `supervisor.py metrics`: ask the running service, print, and say by the exit code how it is."""

from __future__ import annotations

import json
import sys

from service import places
from service.configuration import Configuration
from service.readable import escaped
from service.streams import show
from supervision import control, status

HEALTHY, DEGRADED, NOT_RUNNING = 0, 1, 2


def run(configuration: Configuration) -> int:
    """The command; its exit code."""
    try:
        snapshot = control.ask(places.control_socket(configuration.settings), {"command": "status"})
    except control.NotRunningError as problem:
        print(escaped("Not running: %s" % problem), file=sys.stderr)
        return NOT_RUNNING
    if configuration.command == "metrics":
        from ops import metrics  # here, because its library is not needed for the rest

        show(_safe(metrics.text(snapshot).rstrip("\n")))
        return HEALTHY
    show(json.dumps(snapshot, indent=2) if configuration.as_json else _safe(status.text(snapshot)))
    return DEGRADED if snapshot["problems"] else HEALTHY


def _safe(text: str) -> str:
    """Keys, names and errors are written by strangers, and a terminal obeys what it is sent."""
    return "\n".join(map(escaped, text.split("\n")))
