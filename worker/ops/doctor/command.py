"""`python supervisor.py check`: whether the service can work with these settings, on this machine, with this cluster; what is
wrong, or will be; and how it is mended. It changes nothing, and may be asked whether or not the service runs.

Exit code: 0 nothing has failed (there may be warnings), 1 something has, 2 no broker answers, 78 the configuration is wrong.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from dataclasses import replace
from typing import List, Optional, Sequence, Tuple

import confluent_kafka
import psutil

from kafka_worker import __version__
from kafka_worker.ops import asking
from kafka_worker.ops.connection import NO_BROKER, NOT_ALL
from kafka_worker.ops.doctor import registry
from kafka_worker.ops.doctor.checks import Outcome, examine
from kafka_worker.ops.doctor.facts import Facts, Kafka
from kafka_worker.ops.doctor.gathering import asked
from kafka_worker.ops.doctor.verdict import State
from kafka_worker.ops.tables import Columns, table
from kafka_worker.shared.configuration.load import Configuration
from kafka_worker.shared.exit_codes import ExitCode, described
from kafka_worker.shared.foreign.texts import escaped
from kafka_worker.shared.ipc import control
from kafka_worker.shared.ipc.snapshot import SlotReport, Snapshot, from_json
from kafka_worker.shared.output.streams import show
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import machine, runtime_files
from kafka_worker.supervision import preflight

COLUMNS: Columns = (
    ("", lambda row: row[1].state.value),
    ("CHECK", lambda row: row[0].name),
    ("", lambda row: row[1].text),
)
CODES = {
    **dict.fromkeys(("configuration", "machine", "handler"), ExitCode.CONFIGURATION),
    "brokers": NO_BROKER,
}


def run(configuration: Configuration, faults: Sequence[str] = ()) -> int:
    """The command; its exit code. `faults`: of the configuration."""
    found = examine(_facts(configuration, faults))
    if configuration.asked.as_json:
        show(json.dumps([_as_object(outcome) for outcome in found], indent=2))
    else:
        show("\n".join(map(escaped, _text(found))))
    failed = [check.name for check, verdict in found if verdict.state is State.FAIL]
    return next((CODES[name] for name in CODES if name in failed), NOT_ALL if failed else ExitCode.OK)


def _facts(configuration: Configuration, faults: Sequence[str]) -> Facts:
    running, untold = _running(configuration.settings)
    settings = configuration.settings
    if running:  # it goes by the name that this machine had when it was started
        settings = replace(settings, host=running.host)
    kafka = Kafka() if faults else asked(settings)
    lacking = preflight.of_machine(settings)
    found = preflight.Found([]) if faults or lacking else preflight.thorough(settings, configuration.child_environment)
    return Facts(
        settings,
        time.time(),
        faults=faults,
        unusable=found.faults,
        doubtful=found.warnings,
        lacking=lacking,
        unwritable=runtime_files.faults(settings),
        memory=min(psutil.virtual_memory().total, machine.memory_quota() or sys.maxsize),
        runs_here=running is not None,
        untold=untold,
        addresses=frozenset(each.address for found in psutil.net_if_addrs().values() for each in found),
        fenced=frozenset(slot.slot for slot in running.slots if _is_fenced(slot)) if running else frozenset(),
        versions=(
            f"kafka-worker {__version__}, confluent-kafka {confluent_kafka.__version__}, librdkafka "
            f"{confluent_kafka.libversion()[0]}, Python {platform.python_version()}"
        ),
        kafka=kafka,
        registry=() if faults else registry.asked(settings, kafka),
    )


def _running(settings: Settings) -> Tuple[Optional[Snapshot], str]:
    """The service on this host, if it runs; why that can't be told."""
    try:
        return from_json(Snapshot, asking.find(settings).snapshot), ""
    except control.SilentError as problem:
        return None, str(problem)
    except control.NotRunningError:
        return None, ""


def _is_fenced(slot: SlotReport) -> bool:
    return not slot.pid and slot.last_exit == described(ExitCode.FENCED)


def _text(found: Sequence[Outcome]) -> List[str]:
    lines = table(COLUMNS, found)[1:]
    remedies = [f"  {check.name}: {verdict.fix}" for check, verdict in found if verdict.fix]
    return [*lines, *(["", "To mend it:", *remedies] if remedies else [])]


def _as_object(outcome: Outcome) -> object:
    check, verdict = outcome
    return {"check": check.name, "state": verdict.state.value, "text": verdict.text, "fix": verdict.fix, "needs": check.needs}
