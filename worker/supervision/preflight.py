"""Asks a throw-away process (`check`) whether handler and client properties are usable, before
anything starts. A wrong one would otherwise show only when every child dies of it. And says so, for whatever is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import List, Mapping

from kafka_worker import start
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.routes import described
from kafka_worker.shared.settings import Settings
from kafka_worker.supervision.child import without_systemd

LIMIT_SECONDS = 4.0  # a handler whose import takes longer is left to the children: it is slow, not wrong


def faults(settings: Settings, environment: Mapping[str, str]) -> List[str]:
    """One line for each reason why no child could work; none if it can't be told in time."""
    try:
        done = subprocess.run(
            start.command("check", "--check"),
            input=settings.to_json().encode(),
            capture_output=True,
            env=without_systemd(environment),
            timeout=LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return []
    except OSError as problem:
        return [f"No process can be started: {problem}"]
    try:
        return [str(fault) for fault in json.loads(done.stdout)]
    except ValueError:
        last = done.stderr.decode(errors="replace").strip().rsplit("\n", 1)[-1]
        setting = "HANDLERS" if settings.handlers else "HANDLER"
        return [f"{setting}={described(settings)} ends the process that imports it (exit {done.returncode}): {last}"]


def refuse(faults: List[str], command: str = "run") -> ExitCode:
    """The configuration can't work: say all of it at once, and start nothing."""
    undone = "started" if command == "run" else "done"
    print(f"The configuration is wrong, nothing was {undone}:", *faults, sep="\n  - ", file=sys.stderr)
    program = start.program()
    in_checkout = program == start.IN_CHECKOUT
    more = f"A first look without a Kafka: {'make run' if in_checkout else 'python -m kafka_worker.ops.first_run'}"
    settings = f"All settings: {program} --help{', .env.example' if in_checkout else ''}."
    print(settings, *([more] if command == "run" else []), file=sys.stderr)
    return ExitCode.CONFIGURATION
