"""`supervisor.py status` and `supervisor.py metrics`: ask the running service, print, and say by the exit code how it is."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any, Dict

from kafka_worker.ops import status
from kafka_worker.shared.configuration.load import Configuration
from kafka_worker.shared.foreign.escaping import escaped
from kafka_worker.shared.ipc import control
from kafka_worker.shared.ipc.snapshot import Snapshot, from_json
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import runtime_files
from kafka_worker.shared.system.streams import show

QUESTION = {"command": "status"}
HEALTHY, DEGRADED, NOT_RUNNING = 0, 1, 2


def run(configuration: Configuration) -> int:
    """The command; its exit code."""
    try:
        snapshot = asked(configuration.settings)
    except control.NotRunningError as problem:
        print(escaped(f"Not running: {problem}"), file=sys.stderr)
        return NOT_RUNNING
    if configuration.command == "metrics":
        from kafka_worker.ops import metrics  # here, because its library is not needed for the rest

        show(_safe(metrics.text(from_json(Snapshot, snapshot)).rstrip("\n")))
        return HEALTHY
    show(json.dumps(snapshot, indent=2) if configuration.as_json else _safe(status.text(from_json(Snapshot, snapshot))))
    return DEGRADED if snapshot["problems"] else HEALTHY


def asked(settings: Settings) -> Dict[str, Any]:
    """What the service says. It goes by the name that this machine had when it was started, which may have changed since."""
    try:
        return control.ask(runtime_files.control_socket(settings), QUESTION)
    except control.NotRunningError:
        for path in runtime_files.other_control_sockets(settings):
            with contextlib.suppress(control.NotRunningError):
                snapshot = control.ask(path, QUESTION, nearby=True)
                if snapshot.get("group") == settings.group_id:
                    return snapshot
        raise


def _safe(text: str) -> str:
    """Keys, names and errors are written by strangers, and a terminal obeys what it is sent."""
    return "\n".join(map(escaped, text.split("\n")))
