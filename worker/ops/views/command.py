"""`supervisor.py status` and `supervisor.py metrics`: ask the running service, print, and say by the exit code how it is."""

from __future__ import annotations

import json
from typing import Any, Dict

from kafka_worker.ops import asking
from kafka_worker.ops.tables import safe
from kafka_worker.ops.views import status
from kafka_worker.shared.configuration.load import Configuration
from kafka_worker.shared.ipc.snapshot import Snapshot, from_json
from kafka_worker.shared.output.streams import show

HEALTHY, DEGRADED = 0, 1  # exit codes


def run(configuration: Configuration) -> int:
    """The command; its exit code."""
    return asking.exit_code_of(configuration.settings, lambda found: _run(configuration, found.snapshot))


def _run(configuration: Configuration, snapshot: Dict[str, Any]) -> int:
    if configuration.asked.command == "metrics":
        from kafka_worker.ops.views import metrics  # here, because its library is not needed for the rest

        show(safe(metrics.text(from_json(Snapshot, snapshot), configuration.settings.metrics_also).rstrip("\n")))
        return HEALTHY
    show(json.dumps(snapshot, indent=2) if configuration.asked.as_json else safe(status.text(from_json(Snapshot, snapshot))))
    return DEGRADED if snapshot["problems"] else HEALTHY
