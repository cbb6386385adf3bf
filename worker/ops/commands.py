"""The command: what its words ask for, done. Returns exit codes; `supervisor.py` is how one types it.

Each command is imported when it is asked for: `status` has no use for what runs the service, nor the service for the Kafka
client that others bring.
"""

from __future__ import annotations

import sys
from typing import List, Optional

from kafka_worker.shared.configuration.load import ConfigurationError, load
from kafka_worker.shared.system import machine, signals, streams


def main(words: Optional[List[str]] = None) -> int:
    """The command. Returns the exit code."""
    return streams.guarded(lambda closed: command(sys.argv[1:] if words is None else words, closed))


def command(words: List[str], closed: List[str]) -> int:
    """What the words ask for. `closed`: what of standard input, output and error we were started without."""
    try:
        configuration = load(words)
    except ConfigurationError as problem:
        if problem.partial.command != "run":
            signals.give_back()
        if problem.partial.command == "check":
            from kafka_worker.ops.doctor import command as doctor

            return doctor.run(problem.partial, problem.faults)
        from kafka_worker.ops import service_command

        return service_command.refuse(problem)
    if configuration.command != "run" or configuration.check_only:
        signals.give_back()
    if configuration.settings.core_dumps == "off":
        machine.forbid_core_dumps()
    if configuration.command in ("status", "metrics"):
        from kafka_worker.ops import status_command

        return status_command.run(configuration)
    if configuration.command == "top":
        from kafka_worker.ops import top

        return top.run(configuration)
    if configuration.command in ("explain", "stacks"):
        from kafka_worker.ops.explain import command as explain

        return explain.run(configuration)
    if configuration.command == "lag":
        from kafka_worker.ops.lag import command as lag

        return lag.run(configuration.settings, as_json=configuration.as_json)
    if configuration.command == "check":
        from kafka_worker.ops.doctor import command as doctor

        return doctor.run(configuration)
    if configuration.letters is not None:
        from kafka_worker.ops.dead_letters import command as dead_letters

        return dead_letters.run(configuration.settings, configuration.letters)
    from kafka_worker.ops import service_command

    return service_command.run(configuration, closed)
