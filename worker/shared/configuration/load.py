"""Reads and validates the configuration, once, in the supervisor: command line before environment before `.env` before
SETTINGS_FILE before default; what a topic has of its own goes before all that is said of the service. All faults are found
together, so that nobody has to correct them one start at a time.

The only module that reads `os.environ`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from kafka_worker.shared import http_settings, routes
from kafka_worker.shared.configuration import command_line, environment, failure_settings, settings_file
from kafka_worker.shared.configuration.client import client_properties, identity, registry_properties
from kafka_worker.shared.configuration.settings_file import SettingsFile
from kafka_worker.shared.configuration.validation import validate, validate_own
from kafka_worker.shared.configuration.words import dead_letter_flags, order_flags
from kafka_worker.shared.routes import LONGEST_TOPIC
from kafka_worker.shared.settings import ALL_PREFIXES, REGISTRY_GROUP, TABLE, Settings, is_secret
from kafka_worker.shared.system import machine, memory

if TYPE_CHECKING:
    from kafka_worker.shared.configuration.command_line import Arguments
    from kafka_worker.shared.configuration.environment import Source
    from kafka_worker.shared.configuration.given import Given, Key

_OF_A_SERVICE = ("status", "top", "explain", "stacks", "events", "metrics", "serve", *order_flags.COMMANDS)
MOST_THREADS = 32  # that THREADS=auto grows to by itself


class ConfigurationError(Exception):
    """The service cannot start like this; `faults` says why, one line each, with the next step. `partial` is what
    is right of it, with defaults for the rest: enough to look for further faults.
    """

    def __init__(self, faults: Sequence[str], partial: Configuration) -> None:
        """Keep the faults, each once."""
        self.faults = list(dict.fromkeys(faults))
        self.partial = partial
        super().__init__("\n".join(self.faults))


class Configuration(NamedTuple):
    """What the user asked for."""

    asked: Arguments  # on the command line
    settings: Settings
    warnings: Tuple[str, ...]
    child_environment: Dict[str, str]  # ours and what handlers may read of `.env`; ours wins


def load(argv: Sequence[str], environ: Optional[Mapping[str, str]] = None, env_file: str = ".env") -> Configuration:
    """The configuration from the words after the program's name, the environment (by default this process's
    own) and `env_file`, which may be missing. Raises ConfigurationError; exits for --help and --version.
    """
    environ = dict(os.environ if environ is None else environ)
    arguments = command_line.parse(argv)
    in_file, file_faults, file_warnings = environment.read_env_file(env_file, environ)
    found = [environment.collect(environ, environment.ENVIRONMENT), environment.collect(in_file, env_file)]
    settings_of_file = settings_file.read(_named_file([arguments.given, *map(_of_settings, found)]))
    found.append(settings_of_file.source)
    faults = [*arguments.faults, *file_faults, *(fault for source in found for fault in source.faults)]

    faults += _no_texts([arguments.given, *(each.given for each in found), *settings_of_file.tables.values()])
    sources = [arguments.given, *(_of_settings(source) for source in found)]
    no_broker = arguments.command in _OF_A_SERVICE
    values, wrong = validate(sources, optional=("bootstrap_servers",) if no_broker else ())
    if arguments.command == dead_letter_flags.COMMAND and "topics" in arguments.given:
        values["handlers"] = ()  # the flag says whose dead letters, and not what to run
    properties = _properties(found)
    own, wrong_of_topics = _of_topics(settings_of_file, values, properties)
    faults += wrong + client_properties.faults(properties, values["oauth"]) + _contradictions(values, properties)
    faults += wrong_of_topics
    given = {name for source in sources for name in source}
    faults += http_settings.faults(values, arguments.command)
    wrong_routes = routes.faults(values["handlers"], given, values["dead_letter_suffix"], values["retry_topics"])
    faults += wrong_routes

    # What handlers start has no business with the properties of our clients, among them secrets, that stand in the file.
    ours = {
        given.name for (group, name), given in found[1].given.items() if name and (group != REGISTRY_GROUP or is_secret(name))
    }
    inherited = {**{name: value for name, value in in_file.items() if name not in ours}, **environ}
    settings = Settings(**{**_resolved(values, inherited), **_grouped(client_properties.usable(properties))}, topic_tables=own)
    faults += memory.faults(settings)
    if arguments.command != dead_letter_flags.COMMAND and not wrong_routes:
        faults += settings_file.unknown_topics(settings_of_file, settings.topics)
    warnings = (
        *file_warnings,
        *_warnings(found, arguments),
        *filter(None, [identity.forgotten(settings)]),
        *_of_failures(values, own),
    )
    configuration = Configuration(arguments, settings, warnings, inherited)
    if faults:
        near = [each for source in found for each in source.near]
        raise ConfigurationError([*faults, *near], configuration)
    return configuration


def _no_texts(sources: Iterable[Mapping[Any, Given]]) -> List[str]:
    """Values with which nothing can be done, or, by the client, something else than they say."""
    given = [each for source in sources for each in source.values()]
    return [f"{each.name} ({each.where}) {wrong}. Correct it." for each in given for wrong in _no_text(each.value)]


def _no_text(value: str) -> Iterator[str]:
    if "\0" in value:  # it would end there
        yield "has a NUL in it"
    try:
        value.encode()
    except UnicodeEncodeError:  # bytes that are no text come from the system as half of surrogate pairs
        yield "is not UTF-8"


def _of_settings(source: Source) -> Dict[str, Given]:
    return {name: given for (name, of_client), given in source.given.items() if not of_client}


def _properties(found: Sequence[Source]) -> Dict[Key, Given]:
    """The properties of librdkafka; the first source that has one wins."""
    return {key: given for source in reversed(found) for key, given in source.given.items() if key[1]}


def _grouped(properties: Mapping[Key, Given]) -> Dict[str, Dict[str, str]]:
    groups: Dict[str, Dict[str, str]] = {group: {} for group in ALL_PREFIXES.values()}
    for (group, name), given in properties.items():
        groups[group][name] = given.value
    return groups


def _named_file(sources: Sequence[Mapping[str, Given]]) -> Optional[Given]:
    """What the first of these says of SETTINGS_FILE."""
    return next((source["settings_file"] for source in sources if "settings_file" in source), None)


def _of_topics(
    file: SettingsFile, values: Mapping[str, Any], properties: Mapping[Key, Given]
) -> Tuple[Dict[str, Dict[str, Any]], List[str]]:
    """What topics have of their own, and what is wrong with it, also beside what the service has."""
    own: Dict[str, Dict[str, Any]] = {}
    found: List[str] = []
    of_service = failure_settings.between(values)
    for topic, given in file.tables.items():
        own[topic], wrong = validate_own(given)
        found += wrong
        for fault in failure_settings.between({**values, **own[topic]}):
            if fault not in of_service:
                where = ", ".join(each.where for name, each in given.items() if TABLE[name].environment in fault)
                found.append(f"{topic} ({where}): {fault}")
    found += registry_properties.missing([values, *own.values()], properties)
    return own, found


def _of_failures(values: Mapping[str, Any], own: Mapping[str, Mapping[str, Any]]) -> List[str]:
    told = failure_settings.warnings(values)
    of_topics = [
        f"{topic}: {warning}"
        for topic, each in own.items()
        for warning in failure_settings.warnings({**values, **each})
        if warning not in told
    ]
    return told + of_topics


def _contradictions(values: Mapping[str, Any], properties: Mapping[Key, Given]) -> List[str]:
    """What is wrong between settings that are right each on its own."""
    found = failure_settings.between(values) + identity.schemes(values["bootstrap_servers"], properties)
    found += client_properties.contradictions(properties, values["delivery"], values["handlers"])
    found += [
        f"KAFKA_TOPIC = {topic} and DEAD_LETTER_SUFFIX = {values['dead_letter_suffix']} make a topic name "
        f"longer than {LONGEST_TOPIC} characters. Shorten one of them."
        for topic in values["topics"]
        if len(topic + values["dead_letter_suffix"]) > LONGEST_TOPIC
    ]
    return found + failure_settings.contradictions(values)


def _resolved(values: Mapping[str, Any], environ: Mapping[str, str]) -> Dict[str, Any]:
    """The values, with what was left to "auto" decided for this machine."""
    decided = {name: value for name, value in values.items() if value is not None}
    cores = machine.usable_cores()
    decided.setdefault("processes", cores)
    decided.setdefault("threads_max", decided.get("threads", max(cores, MOST_THREADS)))
    decided.setdefault("threads", min(cores, decided["threads_max"]))
    decided.setdefault("restart_limit", max(10, 5 * decided["processes"]))
    if "runtime_directory" not in decided:  # only then is there need of a folder that one can write to
        decided["runtime_directory"] = _runtime_directory(environ)
    decided.setdefault("state_directory", os.path.join(decided["runtime_directory"], "state"))
    if decided["handlers"]:  # they stand in place of the two
        decided.update(topics=tuple(route.topic for route in routes.parsed(decided["handlers"])), handler="")
    return decided


def _runtime_directory(environ: Mapping[str, str]) -> str:
    """A folder of this user; in the shared temporary directory its name says whose it is."""
    of_session = environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(of_session):
        return os.path.join(of_session, "kafka-consumer")
    import tempfile  # here, because it brings all that makes archives

    try:
        temporary = tempfile.gettempdir()
    except OSError:  # none can be written to; that is told when it is needed
        temporary = "/tmp"  # noqa: S108 (the name in it says whose it is)
    return os.path.join(temporary, f"kafka-consumer-{os.getuid()}")


def _warnings(found: Sequence[Source], arguments: Arguments) -> List[str]:
    told = [each for source in found for each in source.near]
    foreign = sorted({name for source in found for name in source.foreign})
    if foreign:
        told.append(f"ignored, as they are no settings of this service: {', '.join(foreign)}")
    return told + _in_quotes([*arguments.given.values(), *(given for source in found for given in source.given.values())])


def _in_quotes(given: Iterable[Given]) -> List[str]:
    """A shell takes quotes away; files of Docker and systemd's credentials do not."""
    return [
        f"{each.name} ({each.where}) begins and ends with a quotation mark, and that is part of its value. Is it meant?"
        for each in given
        if each.value[1:] and each.value[0] == each.value[-1] and each.value[0] in "\"'"
    ]
