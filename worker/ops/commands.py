"""The command: what its words ask for, done. Returns exit codes; `supervisor.py` is how one types it."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import List, Optional

from kafka_worker.shared import logs
from kafka_worker.shared.configuration.load import ConfigurationError, load
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.system import machine, streams
from kafka_worker.supervision import preflight
from kafka_worker.supervision.supervisor import run

log = logs.logger("supervisor")


def main(words: Optional[List[str]] = None) -> int:
    """The command. Returns the exit code."""
    return streams.guarded(lambda closed: command(sys.argv[1:] if words is None else words, closed))


def command(words: List[str], closed: List[str]) -> int:
    """What the words ask for. `closed`: what of standard input, output and error we were started without."""
    try:
        configuration = load(words)
    except ConfigurationError as problem:
        asked, found = problem.partial, problem.faults
        if asked.command == "check":
            from kafka_worker.ops.doctor import command as doctor

            return doctor.run(asked, found)
        if asked.command == "run":  # what is right of it is enough to look for more: all faults are told together
            found = [*found, *preflight.faults(asked.settings, asked.child_environment)]
        return preflight.refuse(found, asked.command)
    if configuration.settings.core_dumps == "off":
        machine.forbid_core_dumps()
    if configuration.command in ("status", "metrics"):
        from kafka_worker.ops import status_command  # here, as the next one, because a supervisor has no use for it

        return status_command.run(configuration)
    if configuration.command == "lag":
        from kafka_worker.ops.lag import command as lag  # which brings the Kafka client, as the next one

        return lag.run(configuration.settings, as_json=configuration.as_json)
    if configuration.command == "check":
        from kafka_worker.ops.doctor import command as doctor

        return doctor.run(configuration)
    if configuration.letters is not None:
        from kafka_worker.ops.dead_letters import command as dead_letters

        return dead_letters.run(configuration.settings, configuration.letters)
    if "standard error" in closed:
        print("Nothing was started: standard error is closed, and that is where the log goes. Lead it to a file, or /dev/null")
        return ExitCode.CONFIGURATION
    settings = configuration.settings
    # The example handler is the user's side, so it reads its variable: also when the value came by command line or a file.
    environment = {**configuration.child_environment, "TASK_SECONDS": str(settings.task_seconds)}
    if settings.log_format == "text" and streams.is_journal(environment.get("JOURNAL_STREAM")):
        settings = replace(settings, log_format="journal")
    logs.set_up(settings.log_level, settings.log_format, "supervisor")
    for warning in configuration.warnings:
        log.warning("%s", warning)
    faults = machine.make_room(settings) or preflight.faults(settings, environment)
    if faults:
        return preflight.refuse(faults)
    if configuration.check_only:
        print(settings.described(), flush=True)
        return ExitCode.OK
    return run(settings, environment)
