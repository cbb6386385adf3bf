"""The command line of the service, made from the table of settings. Wrong words become faults, so that
they are reported together with everything else that is wrong, and with the nearest right flag.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, NoReturn, Optional, Sequence, Tuple

from kafka_worker import __version__, start
from kafka_worker.shared.configuration.given import Given
from kafka_worker.shared.configuration.near import LIKE_LETTERS, nearest
from kafka_worker.shared.configuration.words import dead_letter_flags, order_flags
from kafka_worker.shared.configuration.words import place as places
from kafka_worker.shared.configuration.words.flags import Flag, astray
from kafka_worker.shared.configuration.words.place import ALL_EVENTS, EventsRequest, Place
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.setting import Setting
from kafka_worker.shared.settings import TABLE

COMMAND_LINE = "the command line"
COMMANDS = (
    "status", "top", "explain", "stacks", "events", "metrics", "lag", "check", "serve", *order_flags.COMMANDS,
    dead_letter_flags.COMMAND,
)  # fmt: skip
_WITH_JSON = ("status", "lag", "check", "explain", "stacks", "events", "pauses", dead_letter_flags.COMMAND)
_SWITCHES = {
    "--check-config": "validate, print the effective settings with secrets masked, and exit",
    "--json": f"with {', '.join(_WITH_JSON)}: print all of it as JSON",
}
_EXAMPLES = """\
examples:
  {0} --bootstrap-servers kafka:9092 --group orders --processes 8
  {0} --check-config
  {0} status --json
  {0} dead-letters replay --error Timeout --since 2h

usage: {0} [options]
       {0} status [--json] [options]   what the service of this group on this host is doing
       {0} top [options]               status, live in a terminal
       {0} explain TOPIC[/PARTITION[/OFFSET]] [--json]
                                                what its commit waits for, why, and what would let it go on
       {0} stacks [SLOT] [--json]      where the code of each thread is now
       {0} events [-n N] [--follow] [--json]
                                                what has happened lately
       {0} metrics [options]           status as numbers, in Prometheus' text format
       {0} lag [--json] [options]      how far behind the whole group is, on all hosts, even if none of them runs
       {0} check [--json] [options]    what is wrong, or will be, here and in the cluster, and how to mend it
       {0} serve --http 127.0.0.1:8080 page, probes, metrics and API by HTTP; HTTP=127.0.0.1:8080 does so beside the service
""" + order_flags.EXAMPLES + dead_letter_flags.EXAMPLES  # fmt: skip
_HELP = {"-h", "--help"}
_OF_COMMANDS = {
    dead_letter_flags.COMMAND: dead_letter_flags.FLAGS, "events": places.EVENTS_FLAGS, "pause, park": order_flags.FLAGS,
}  # fmt: skip
_EPILOG = """\
Each option has a variable (in brackets), read from the environment or from .env; NAME_FILE names a file
with the value. The command line wins over the environment, and that over .env. KAFKA_CLIENT_,
KAFKA_CONSUMER_ and KAFKA_PRODUCER_ variables set librdkafka's own properties: KAFKA_CLIENT_SASL_PASSWORD
is sasl.password. SCHEMA_REGISTRY_ variables set those of the schema registry's client: SCHEMA_REGISTRY_URL.

"""
_EPILOG_OF_COMMAND = """\
The service that is meant is said by the settings, as options or as variables of the environment or .env:
{0} --help has them all.

"""
_MEANINGS = {
    ExitCode.OK: "drained and closed; done; status: healthy",
    1: "status: degraded; lag, check, dead-letters: something could not be done",
    2: "status: not running; lag, check, dead-letters: no broker answers",
    ExitCode.FAULT: "a fault in the service itself",
    ExitCode.GAVE_UP: "gave up for now: a deadline was cut, or the restart limit reached",
    ExitCode.FENCED: "another member with the same id took over",
    ExitCode.NOT_AUTHORISED: "the broker refuses credentials or rights",
    ExitCode.CONFIGURATION: "a setting is wrong; restarting is useless",
}
_EXIT_STATUS = "exit status:\n" + "\n".join(f"  {code:<3d} {meaning}" for code, meaning in _MEANINGS.items())
#: Of settings, that the help of a command shows: which service is meant.
_GROUPS = ("Kafka",)
_GROUPS_OF = {"serve": (*_GROUPS, "HTTP")}


@dataclass
class Arguments:
    """What the command line says."""

    command: str = "run"  # or one of COMMANDS
    as_json: bool = False
    check_only: bool = False  # print the effective settings, and exit
    letters: Optional[dead_letter_flags.DeadLetterRequest] = None  # of the command `dead-letters`
    order: Optional[order_flags.OrderRequest] = None  # of `pause`, `resume` and `park`
    place: Optional[Place] = None  # of the command `explain`
    slot: Optional[int] = None  # of the command `stacks`; None: all
    events: EventsRequest = ALL_EVENTS  # of the command of that name
    given: Dict[str, Given] = field(default_factory=dict)  # by field of Settings
    faults: List[str] = field(default_factory=list)


class _WrongWordError(Exception):
    """A flag without its value, in argparse's words."""


class _Parser(argparse.ArgumentParser):
    """Raises, where argparse would print its own message and exit with its own status."""

    def error(self, message: str) -> NoReturn:
        raise _WrongWordError(message)


class _Unmeasured(argparse.HelpFormatter):
    """Checks flags as they are added. For that argparse would measure the terminal, by what makes archives, for each."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=80)


def parser(words: Optional[Sequence[str]] = None) -> argparse.ArgumentParser:
    """The parser of all flags, or, for these words, of those settings that they name, as each takes argparse a while. Commands
    are words that it leaves over; the help of one has what goes with it."""
    helps = words is None or bool(_HELP.intersection(words))
    command = _command(list(words or ())) if helps else "run"
    alone = command != "run"
    made = _Parser(
        prog=start.program(),
        usage=argparse.SUPPRESS,
        description=(_usage_of(command) if alone else _EXAMPLES).format(start.program()),
        epilog=(_EPILOG_OF_COMMAND.format(start.program()) if alone else _EPILOG) + _EXIT_STATUS,
        formatter_class=_Unmeasured,
        allow_abbrev=False,
    )
    made.add_argument("--version", action="version", version=__version__)
    for flag, meaning in _SWITCHES.items():
        if not alone or (flag == "--json" and command in _WITH_JSON):
            made.add_argument(flag, action="store_true", help=meaning)
    for title, flags in _OF_COMMANDS.items():
        group = made if alone else made.add_argument_group(title)
        for each in flags:
            if not alone or command in _commands_of(each):
                group.add_argument(each.word, dest=each.name, default=argparse.SUPPRESS, help=each.meaning, **each.way)
    named = {word.split("=", 1)[0] for word in words or ()}
    wanted = _GROUPS_OF.get(command, _GROUPS) if alone else ()
    rows = {name: row for name, row in TABLE.items() if (row.group in wanted or not alone if helps else row.flag in named)}
    groups = {row.group: made.add_argument_group(row.group) for row in rows.values()}
    for name, row in rows.items():
        groups[row.group].add_argument(
            row.flag, dest=name, default=argparse.SUPPRESS, metavar=row.placeholder, help=_help(row)
        )
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    return made


def _usage_of(command: str) -> str:
    """The lines of the usage that are this command's."""
    entries = _EXAMPLES.split("       {0} ")
    return "usage: " + "       ".join(f"{{0}} {each}" for each in entries if each.startswith(f"{command} "))


def _help(row: Setting) -> str:
    text = f"{row.meaning}. Wanted: {row.wanted}; {row.default_described} [{row.environment}]"
    return text.replace("%", "%%")  # argparse formats it


def parse(argv: Sequence[str]) -> Arguments:
    """Sort the words after the program's name. Prints and exits for --help and --version."""
    flags = parser(argv)
    try:
        parsed, rest = flags.parse_known_args(argv)
    except _WrongWordError as problem:
        return _without_wrong(argv, str(problem))
    arguments = Arguments(as_json=parsed.json, check_only=parsed.check_config)
    for name, row in TABLE.items():
        if hasattr(parsed, name):
            arguments.given[name] = Given(row.flag, getattr(parsed, name), COMMAND_LINE)
    _read_rest(arguments, rest, vars(parsed))
    arguments.faults += _astray(arguments)
    return arguments


def _without_wrong(argv: Sequence[str], problem: str) -> Arguments:
    """What all other words say, so that what stands there is not told as missing."""
    wrong = problem.partition("argument ")[2].partition(":")[0]
    others = [word for word in argv if word.partition("=")[0] != wrong]
    arguments = parse(others) if len(others) < len(argv) else Arguments(_command(others))
    arguments.faults.insert(0, f"{COMMAND_LINE}: {problem}. See --help.")
    return arguments


def _astray(arguments: Arguments) -> List[str]:
    """The faults of switches that the command would ignore."""
    found = []
    if arguments.as_json and arguments.command not in _WITH_JSON:
        advice = f"Write: {start.program()} status --json" if arguments.command == "run" else "Leave it out."
        found.append(f"--json ({COMMAND_LINE}) goes with {', '.join(_WITH_JSON)} only. {advice}")
    if arguments.check_only and arguments.command != "run":
        found.append(f"--check-config ({COMMAND_LINE}) goes with no command. Leave out one of the two.")
    return found


def _command(words: List[str]) -> str:
    """The command among the words; it is taken out of them. Without one: "run"."""
    for word in words:
        if word in COMMANDS:
            words.remove(word)
            return word
    return "run"


def _read_rest(arguments: Arguments, rest: List[str], flags: Mapping[str, Any]) -> None:
    """The words that argparse did not take: the command, and what it is about. A wrong flag's value is no fault of its
    own."""
    command = arguments.command = _command(rest)
    unknown = [word for word in rest if word.startswith("-")]
    of_letters = [flag.word for flag in dead_letter_flags.FLAGS] if command == dead_letter_flags.COMMAND else []
    arguments.faults += [*(_wrong_flag(word, of_letters) for word in unknown), *_misplaced(command, flags)]
    if command == "events":
        arguments.events, wrong = places.events(flags)
        arguments.faults += [f"{fault} ({COMMAND_LINE}). Correct it." for fault in wrong]
    if not unknown:
        arguments.faults += _read_words(arguments, rest, flags)


def _misplaced(command: str, flags: Mapping[str, Any]) -> List[str]:
    """The faults of flags that stand behind other commands."""
    found = astray([each for each in order_flags.FLAGS if command not in _commands_of(each)], flags)
    for each in dead_letter_flags.FLAGS:
        if command not in _commands_of(each):
            found += astray([each], flags, ", ".join(_commands_of(each)))
    return found + ([] if command == "events" else astray(places.EVENTS_FLAGS, flags))


def _commands_of(flag: Flag) -> Tuple[str, ...]:
    """Behind which it may stand."""
    if flag not in dead_letter_flags.FLAGS:
        return flag.goes_with
    return (dead_letter_flags.COMMAND, *(order_flags.FOR_ALL if flag.word == order_flags.ALL else ()))


def _read_words(arguments: Arguments, words: List[str], flags: Mapping[str, Any]) -> List[str]:
    """What the words behind the command mean; what is wrong with them."""
    command, wrong = arguments.command, ""
    if command == dead_letter_flags.COMMAND:
        arguments.letters, faults = dead_letter_flags.read(flags, words, time.time(), as_json=arguments.as_json)
        return faults
    if command in order_flags.COMMANDS:
        arguments.order, faults = order_flags.read(command, flags, words)
        return faults
    if command == "stacks":
        arguments.slot, wrong = places.slot(words)
    elif command == "explain":
        arguments.place, wrong = places.place(words)
    elif words:
        near = nearest(words[0], COMMANDS, LIKE_LETTERS)
        stray = f"{' '.join(words)} ({COMMAND_LINE}) is not a command.{f' Did you mean {near}?' if near else ''}"
        return [f"{stray} Write {', '.join(COMMANDS)}, or nothing to run the service."]
    said = f"{' '.join(words)} ({COMMAND_LINE}): " if words else ""
    return [f"{said}{wrong}"] if wrong else []


def _wrong_flag(word: str, more: Sequence[str]) -> str:
    flag = word.split("=", 1)[0]
    near = nearest(flag, [*(row.flag for row in TABLE.values()), *_SWITCHES, *_HELP, "--version", *more])
    hint = f" Did you mean {near}?" if near else ""
    return f"{flag} ({COMMAND_LINE}) is not an option.{hint} See --help."
