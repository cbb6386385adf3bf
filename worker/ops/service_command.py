"""`supervisor.py` without a command, and `serve`: what is set is checked, as far as it can be before it runs; then the service
runs, or the HTTP part alone."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import List, Mapping, Optional

from kafka_worker.shared import logs
from kafka_worker.shared.configuration.load import Configuration, ConfigurationError
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.output import streams
from kafka_worker.shared.setting import written
from kafka_worker.shared.settings import TABLE
from kafka_worker.supervision import preflight
from kafka_worker.supervision.children.prepared import First

log = logs.logger("supervisor")


def run(configuration: Configuration, closed: List[str], begun: Optional[First] = None) -> int:
    """The command; its exit code. `closed`: what of standard input, output and error we were started without. `begun`: the
    first process of the service, where that has begun already."""
    with begun or First() as first:
        return _run(configuration, closed, first)


def _run(configuration: Configuration, closed: List[str], first: First) -> int:
    if "standard error" in closed:
        print("Nothing was started: standard error is closed, and that is where the log goes. Lead it to a file, or /dev/null")
        return ExitCode.CONFIGURATION
    settings = configuration.settings
    environment = _environment(configuration)
    if settings.log_format == "text" and streams.is_journal(environment.get("JOURNAL_STREAM")):
        settings = replace(settings, log_format="journal")
    serves = configuration.asked.command == "serve"
    logs.set_up(settings.log_level, settings.log_format, "http" if serves else "supervisor")
    warnings = [*configuration.warnings]
    faults = preflight.of_machine(settings)
    if not (serves or faults):
        # The first process of the service is on its way beside the look at handler and client, without whose word it has no
        # settings.
        if configuration.asked.check_only:
            found = preflight.thorough(settings, environment)
        else:
            first.begin(environment)
            found = preflight.look(settings, environment, _import_the_rest)
        faults, warnings = found.faults, warnings + found.warnings
    for warning in warnings:
        log.warning("%s", warning)
    if faults:
        return preflight.refuse(faults, configuration.asked.command)
    if serves:
        from kafka_worker.ops.serve import command as serve  # here, because a supervisor has no use for it

        return serve.run(settings)
    if configuration.asked.check_only:
        streams.show(settings.described(), sys.__stdout__)  # what is not read would be told as printed by handlers
        return ExitCode.OK
    from kafka_worker.supervision import supervisor

    return supervisor.run(settings, environment, first)


def _environment(configuration: Configuration) -> Mapping[str, str]:
    """That of all processes. The example handler is the user's side, so it reads its variable: also when the value came by
    command line or a file."""
    row, seconds = TABLE["task_seconds"], written(configuration.settings.task_seconds)
    found = configuration.child_environment
    return found if found.get(row.environment, row.default) == seconds else {**found, row.environment: seconds}


def _import_the_rest() -> None:
    from kafka_worker.supervision import supervisor  # noqa: F401 (it takes as long as the look does)


def refuse(problem: ConfigurationError) -> int:
    """What is set can't work: say why, and do nothing."""
    partial, found = problem.partial, problem.faults
    if partial.asked.command == "run":  # what is right of it is enough to look for more: all faults are told together
        lacking = preflight.of_machine(partial.settings)
        found = [*found, *(lacking or preflight.look(partial.settings, partial.child_environment).faults)]
    return preflight.refuse(found, partial.asked.command)
