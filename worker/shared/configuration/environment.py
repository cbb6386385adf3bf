"""What the environment and the `.env` file say: which of their names are settings or librdkafka properties,
which are misspelt, and which hold the path of a file with the value. Supervisor only, once, at the start.
"""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Dict, List, Mapping, NamedTuple, Optional, Set, Tuple

from kafka_worker.shared.configuration.client import librdkafka_properties, registry_properties
from kafka_worker.shared.configuration.client.client_properties import OWNED, is_function
from kafka_worker.shared.configuration.client.librdkafka_properties import PROPERTIES
from kafka_worker.shared.configuration.given import Given, Key
from kafka_worker.shared.configuration.near import nearest
from kafka_worker.shared.settings import ALL_PREFIXES, REGISTRY_GROUP, TABLE, environment_name
from kafka_worker.shared.system import files

if TYPE_CHECKING:
    from dotenv.parser import Binding

ENVIRONMENT = "the environment"
_FIELDS = {row.environment: name for name, row in TABLE.items()}
_NAMES = [*_FIELDS, *(name + "_FILE" for name in _FIELDS)]
# Kubernetes tells each container of every service so; a service may well be called `kafka` or `kafka-client`.
_KUBERNETES = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)$|_PORT(_\d+_[A-Z]+(_(PROTO|PORT|ADDR))?)?$")
# How much a name must look like one of ours (difflib's ratio) to be called a misspelling. Most names in an
# environment are somebody else's; those in .env mostly ours; those with KAFKA_ are compared without it.
_NEAR_ELSEWHERE, _NEAR_IN_FILE, _NEAR_AFTER_KAFKA = 0.88, 0.84, 0.75
# What other services and platforms (Heroku, for one) call it.
_ELSEWHERE = {
    **dict.fromkeys(("KAFKA_URL", "KAFKA_BROKER", "KAFKA_BROKERS", "KAFKA_BROKER_LIST"), "KAFKA_BOOTSTRAP_SERVERS"),
    **dict.fromkeys(("KAFKA_CONSUMER_GROUP", "KAFKA_CONSUMER_GROUP_NAME", "KAFKA_GROUP"), "KAFKA_GROUP_ID"),
    "KAFKA_CLIENT_CERT": "KAFKA_CLIENT_SSL_CERTIFICATE_PEM",
    "KAFKA_CLIENT_CERT_KEY": "KAFKA_CLIENT_SSL_KEY_PEM",
    "KAFKA_TRUSTED_CERT": "KAFKA_CLIENT_SSL_CA_PEM",
    "KAFKA_USERNAME": "KAFKA_CLIENT_SASL_USERNAME",
    "KAFKA_PASSWORD": "KAFKA_CLIENT_SASL_PASSWORD",
}
LONGEST_VARIABLE = 32 * 4096 - 1  # bytes, name and all: MAX_ARG_STRLEN of execve(2), less its NUL


@dataclass
class Source:
    """What one source holds for us."""

    where: str
    given: Dict[Key, Given] = field(default_factory=dict)
    faults: List[str] = field(default_factory=list)
    foreign: List[str] = field(default_factory=list)  # KAFKA_ names that are not ours and look like none
    near: List[str] = field(default_factory=list)  # what was perhaps meant by names of others; warnings


class EnvFile(NamedTuple):
    """What a `.env` file holds, and what is to be said of it."""

    variables: Dict[str, str]
    faults: List[str]
    warnings: List[str]


def read_env_file(path: str, environ: Mapping[str, str]) -> EnvFile:
    """A missing file holds nothing. References to other variables prefer the real environment, as python-dotenv's
    `load_dotenv` does.
    """
    try:
        text = files.text(path)
    except FileNotFoundError:
        return EnvFile({}, [], [])
    except (OSError, UnicodeDecodeError) as problem:
        return EnvFile({}, [f"{path} cannot be read: {problem}. Make it a readable UTF-8 text, or remove it."], [])
    from dotenv.main import DotEnv  # here, because most services have no such file
    from dotenv.parser import parse_stream

    # python-dotenv would only log the first that is wrong, and say nothing of the others: a setting would be lost.
    lines = list(parse_stream(io.StringIO(text)))
    wrong = [each.original.line for each in lines if each.error or _lost(each, path, environ)]
    sound = "".join(each.original.string for each in lines if not each.error)
    values = DotEnv(None, stream=io.StringIO(sound), override=False).dict()
    given = {name: value for name, value in values.items() if value is not None}
    unfit = {name: fault for name, fault in ((name, _impassable(name, given[name])) for name in given) if fault}
    faults = [f"{path}, line {line}: not of the form NAME=value. Correct the line." for line in wrong]
    faults += [f"{name} ({path}) {fault}" for name, fault in unfit.items()]
    warnings: List[str] = []
    for name in sorted(_emptied(text, {**given, **environ})):
        (faults if _target(name, path) else warnings).append(
            f"{name} ({path}): ${{…}} in its value stands for a variable, and there is none of that name. "
            f"Write a value with such characters into a file, and the file's path into {name}_FILE."
        )
    return EnvFile({name: value for name, value in given.items() if name not in unfit}, faults, warnings)


def _lost(binding: Binding, path: str, environ: Mapping[str, str]) -> bool:
    """Whether it is a name alone, and not, as some have it there, one that the environment has a value for, or another's."""
    name = binding.key
    if binding.value is not None or name is None or name in environ:
        return False
    return not re.fullmatch(r"\w+", name) or is_ours(name, path)


def _emptied(text: str, known: Mapping[str, str]) -> Set[str]:
    """Names whose values are not what they look like: python-dotenv puts nothing where a variable is not there."""
    from dotenv.parser import parse_stream
    from dotenv.variables import Variable, parse_variables

    return {
        str(binding.key)
        for binding in parse_stream(io.StringIO(text))
        for atom in parse_variables(binding.value or "")
        if isinstance(atom, Variable) and atom.default is None and atom.name not in known
    }


def _impassable(name: str, value: str) -> str:
    """Why no process could be given this variable: each start of one would fail."""
    length = len(os.fsencode(f"{name}={value}"))
    if length > LONGEST_VARIABLE:
        return f"is {length} bytes long, and a variable can have {LONGEST_VARIABLE}. Put it into a file."
    return "has a NUL in it, which a variable can't have. Remove it." if "\0" in value else ""


def collect(variables: Mapping[str, str], where: str) -> Source:
    """Sort the variables of one source into settings, faults and foreign names."""
    source = Source(where)
    for name, value in sorted(variables.items()):
        target = _target(name, where)
        if target is None:
            _unknown(name, source)
            continue
        key, is_path = target
        if key in source.given:  # NAME sorts before NAME_FILE
            source.faults.append(f"{source.given[key].name} and {name} are both set ({where}). Remove one of them.")
        elif is_path:
            _from_file(source, key, name, value)
        else:
            source.given[key] = Given(name, value, where)
    return source


def is_ours(name: str, where: str) -> bool:
    """Whether a variable sets something of ours."""
    return _target(name, where) is not None


def _target(name: str, where: str) -> Optional[Tuple[Key, bool]]:
    """What a variable sets, and whether it does so by the path of a file; None for what is none of ours."""
    for prefix, group in ALL_PREFIXES.items():
        if name.startswith(prefix) and name != prefix and not _KUBERNETES.search(name):
            known = name[len(prefix) :].lower().replace("_", ".")
            is_path = known.endswith(".file") and known not in PROPERTIES
            known = known[: -len(".file")] if is_path else known
            ours = _is_of_registry(known) if group == REGISTRY_GROUP else _is_of_kafka(known)
            others = name in _ELSEWHERE or (where == ENVIRONMENT and not ours)
            return None if others else ((group, known), is_path)
    if name in _FIELDS:
        return (_FIELDS[name], ""), False
    if name in _NAMES:
        return (_FIELDS[name[: -len("_FILE")]], ""), True
    return None


# A variable of the environment that begins like ours and names no property, nor anything like one, is another program's. What
# stands in `.env` is meant for us, and may name one that is newer than our list.


def _is_of_kafka(known: str) -> bool:
    return known in PROPERTIES or known in OWNED or is_function(known) or bool(librdkafka_properties.nearest(known))


def _is_of_registry(known: str) -> bool:
    return known in registry_properties.PROPERTIES or bool(registry_properties.nearest(known))


def _from_file(source: Source, key: Key, name: str, path: str) -> None:
    try:
        value = files.text(path)
    except (OSError, ValueError) as problem:
        fault = f"{Given(name, path, source.where).described()} cannot be read: {problem}."
        source.faults.append(f"{fault} It must be the path of a text file that holds the value. Correct the path.")
    else:
        source.given[key] = Given(name, re.sub(r"\r?\n\Z", "", value), source.where, file=path)


def _unknown(name: str, source: Source) -> None:
    meant = None if _KUBERNETES.search(name) else _meant(name, source.where)
    if meant:
        fault = f"{name} is not a setting ({source.where}); did you mean {meant}? Rename or remove it."
        (source.near if source.where == ENVIRONMENT else source.faults).append(fault)
    elif name.startswith("KAFKA_"):
        source.foreign.append(name)


def _meant(name: str, where: str) -> Optional[str]:
    """The name of ours that `name` looks like."""
    if name in _ELSEWHERE:
        return _ELSEWHERE[name]
    if not name.startswith("KAFKA_"):
        cutoff = _NEAR_ELSEWHERE if where == ENVIRONMENT else _NEAR_IN_FILE
        return nearest(name.upper(), _NAMES, cutoff)
    bare = _bare(name)
    ours = {_bare(each): each for each in _NAMES}
    close = nearest(bare, ours, _NEAR_AFTER_KAFKA)
    if close:
        return ours[close]
    dotted = bare.lower().replace("_", ".")
    known = dotted if dotted in PROPERTIES else librdkafka_properties.nearest(dotted)
    return environment_name("KAFKA_CLIENT_", known) if known else None


def _bare(name: str) -> str:
    return name[len("KAFKA_") :] if name.startswith("KAFKA_") else name
