"""The command: what its words ask for, done. Returns exit codes; `supervisor.py` is how one types it.

Each command is imported when it is asked for: `status` has no use for what runs the service, nor the service for the Kafka
client that others bring. The first process of a service begins before all else: while we import what reads the settings, it
imports what does the work.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Optional

from kafka_worker import start
from kafka_worker.shared.output import streams
from kafka_worker.shared.system import machine, signals

if TYPE_CHECKING:
    from kafka_worker.shared.configuration.load import ConfigurationError
    from kafka_worker.supervision.children.prepared import First


class Started(NamedTuple):
    """What there is before the settings are read."""

    closed: List[str]  # what of standard input, output and error we were started without
    first: Optional[First] = None  # the first process of the service, where it has begun


SERVICE = "service_command"
#: By the command's word the module of this room whose `run` does it.
COMMANDS: Dict[str, str] = {
    "run": SERVICE,
    "serve": SERVICE,
    "status": "views.command",
    "metrics": "views.command",
    "top": "views.top",
    "explain": "explain.command",
    "stacks": "explain.command",
    "events": "events",
    "lag": "lag.command",
    "check": "doctor.command",
    "pause": "orders",
    "resume": "orders",
    "pauses": "orders",
    "park": "orders",
    "dead-letters": "dead_letters.command",
}
_NO_KAFKA = {*COMMANDS, "--help", "-h", "--version"}  # a command that asks a cluster finds for itself what it lacks
_NO_SERVICE = {*_NO_KAFKA, "--check-config"}


def main(words: Optional[List[str]] = None, env_file: str = ".env") -> int:
    """The command. Returns the exit code."""
    return streams.guarded(lambda closed: command(sys.argv[1:] if words is None else words, closed, env_file))


def command(words: List[str], closed: List[str], env_file: str = ".env") -> int:
    """What the words ask for. `closed`: what of standard input, output and error we were started without."""
    if not _NO_KAFKA.intersection(words):  # the service, which would only see its processes end
        start.require("confluent_kafka")
    if _NO_SERVICE.intersection(words):  # a value may read like one of these: then a service only begins a little later
        return _done(words, Started(closed), env_file)
    from kafka_worker.supervision.children.prepared import First

    with First() as first:
        first.begin(start.ENVIRONMENT)
        return _done(words, Started(closed, first), env_file)


def _done(words: List[str], started: Started, env_file: str) -> int:
    from kafka_worker.shared.configuration.load import ConfigurationError, load

    try:
        configuration = load(words, env_file=env_file)
    except ConfigurationError as problem:
        return _refuse(problem)
    if configuration.asked.command != "run" or configuration.asked.check_only:
        signals.give_back()
    module = COMMANDS[configuration.asked.command]
    if configuration.settings.oauth and module != SERVICE:
        start.have(configuration.child_environment)  # that function finds what it finds in the service
    if configuration.settings.core_dumps == "off":
        machine.forbid_core_dumps()
    # Not by importlib: what that imports `python -X importtime` does not tell.
    run = __import__(f"kafka_worker.ops.{module}", fromlist=["run"]).run
    return int(run(configuration, *started) if module == SERVICE else run(configuration))


def _refuse(problem: ConfigurationError) -> int:
    if problem.partial.asked.command != "run":
        signals.give_back()
    if problem.partial.asked.command == "check":  # faults are what it tells
        from kafka_worker.ops.doctor import command as doctor

        return doctor.run(problem.partial, problem.faults)
    from kafka_worker.ops import service_command

    return service_command.refuse(problem)
