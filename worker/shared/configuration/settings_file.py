"""The file that SETTINGS_FILE names, in TOML: settings of the service, by the names of their variables in lower case, and what
topics have of their own.

    kafka_topic = ["orders", "reports"]
    max_attempts = 5

    [topics.orders]
    priority = 10

All names in it are ours, so each that is not is a fault. Read once, in the supervisor, as all else that is configured."""

from __future__ import annotations

import os
import re
import sys
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from kafka_worker.shared.configuration import environment
from kafka_worker.shared.configuration.environment import Source
from kafka_worker.shared.configuration.given import Given
from kafka_worker.shared.configuration.near import nearest
from kafka_worker.shared.foreign.texts import escaped
from kafka_worker.shared.setting import AUTO, Setting
from kafka_worker.shared.settings import TABLE
from kafka_worker.shared.system import files
from kafka_worker.shared.topic_settings import NAMES, PATTERN, fits

TOPICS = "topics"
_OF_TOPICS = {TABLE[name].environment.lower(): name for name in NAMES}
_OF_SERVICE = {row.environment: row for row in TABLE.values()}
_KINDS = {bool: "a truth value", str: "a text", int: "a number", float: "a number", list: "a list", dict: "a table"}
_ONLY_TOPICS = (
    f"is a table, and only topics have tables, as [{TOPICS}.orders]; settings of the service stand above the first one, by "
    "their whole names"
)

Path = Tuple[str, ...]  # to a value, through tables


class SettingsFile(NamedTuple):
    """What it holds."""

    source: Source  # of the service
    tables: Dict[str, Dict[str, Given]]  # by topic or pattern, then by field of Settings
    places: Places


def read(named: Optional[Given]) -> SettingsFile:
    """All of it, with what is wrong. `named`: the path, as SETTINGS_FILE says it; None, or an empty one: nothing."""
    path = named.value.strip() if named else ""
    source = Source(path)
    file = SettingsFile(source, {}, Places(path))
    if not named or not path:
        return file
    try:
        text = files.text(os.path.abspath(path))  # so that a fault says where it was looked for
        found = _loads(text)
    except (OSError, ValueError, RecursionError) as problem:  # its own error is a ValueError, too, with line and column
        advice = f"It must be a UTF-8 text in TOML. Correct it, or {named.name} ({named.where})."
        source.faults.append(escaped(f"SETTINGS_FILE {path} can't be read: {problem}. {advice}"))
        return file
    file.places.note(text)
    for name, value in found.items():
        if name != TOPICS:
            _of_service(source, name, value, file.places.of(name))
    topics = found.get(TOPICS, {})
    if not isinstance(topics, dict):
        advice = f"The topics to consume are kafka_topic; {TOPICS} must hold tables, as [{TOPICS}.orders]"
        source.faults.append(f"{TOPICS} ({file.places.of(TOPICS)}) is {_kind(topics)}. {advice}. Correct it.")
        topics = {}
    for topic, own in topics.items():
        wrong = _wrong_table(topic, own)
        if wrong:
            source.faults.append(f"{_header(topic)} ({file.places.of(TOPICS, topic)}) {wrong}. Correct it.")
        elif not _cut_at_dots(source, topic, own, file.places):
            file.tables[topic] = _of_topic(source, topic, own, file.places)
    return file


def unknown_topics(file: SettingsFile, subscribed: Sequence[str]) -> List[str]:
    """The faults of tables that no topic of the service could ever have. Which topics a pattern of the service matches is not
    known yet."""
    any_pattern = any(topic.startswith(PATTERN) for topic in subscribed)
    found = []
    for table in file.tables:
        if table in subscribed or any(fits(topic, table) or fits(table, topic) for topic in subscribed):
            continue
        if table.startswith(PATTERN) and any_pattern:
            continue
        near = nearest(table, subscribed)
        hint = f"did you mean {near}?" if near else f"its topics are {', '.join(subscribed)}."
        where = file.places.of(TOPICS, table)
        found.append(f"{_header(table)} ({where}) is no topic of this service; {hint} Correct or remove it.")
    return found


def _of_service(source: Source, name: str, value: Any, where: str) -> None:
    variable = name.upper()
    row = _OF_SERVICE.get(variable)
    text = _text(row, value)
    if variable == "SETTINGS_FILE":
        source.faults.append(f"{name} ({where}): this is that file. Remove it.")
    elif isinstance(value, dict) and row is None:
        source.faults.append(f"[{name}] ({where}) {_ONLY_TOPICS}. Correct it.")
    elif text is None and (row or environment.is_ours(variable, where)):
        source.faults.append(f"{name} ({where}) {_of_another_kind(row, value)}")
    else:
        one = environment.collect({variable: text or ""}, where)
        if not one.given and not one.faults:
            source.faults.append(f"{name} ({where}) is not a setting. Remove it; all names are in .env.example and --help.")
        source.faults += one.faults
        source.faults += _twice(source.given, one.given, where)
        source.given.update(one.given)


def _twice(before: Mapping[Any, Given], one: Mapping[Any, Given], where: str) -> List[str]:
    return [f"{each.name} is set twice, once so ({where}). Remove one." for key, each in one.items() if key in before]


def _of_topic(source: Source, topic: str, own: Dict[str, Any], places: Places) -> Dict[str, Given]:
    given: Dict[str, Given] = {}
    for name, value in own.items():
        described, where = f"{_header(topic)} {name}", places.of(TOPICS, topic, name)
        field = _OF_TOPICS.get(name.lower())
        text = _text(TABLE[field], value) if field else None
        if field is None:
            source.faults.append(f"{described} ({where}) {_not_of_topics(name)}")
        elif text is None:
            source.faults.append(f"{described} ({where}) {_of_another_kind(TABLE[field], value)}")
        else:
            one = {field: Given(described, text, where)}
            source.faults += _twice(given, one, where)
            given.update(one)
    return given


def _cut_at_dots(source: Source, topic: str, own: Dict[str, Any], places: Places) -> bool:
    """Whether it holds tables, which none may: the dots in the name of a topic have been taken for those between tables."""
    found = [name for name, value in own.items() if isinstance(value, dict)]
    for name in found:
        path, inner = [topic, name], own[name]
        while isinstance(inner, dict):
            deeper = [(each, value) for each, value in inner.items() if isinstance(value, dict)]
            path += [each for each, _ in deeper[:1]]
            inner = deeper[0][1] if deeper else None
        where, meant = places.of(TOPICS, *path), _header(".".join(path))
        source.faults.append(f"[{TOPICS}.{'.'.join(path)}] ({where}) is a table within that of {topic}; did you mean {meant}?")
    return bool(found)


def _wrong_table(topic: str, own: Any) -> str:
    if not isinstance(own, dict):
        return f"is {_kind(own)}, and must be a table"
    if not topic.startswith(PATTERN):
        known = re.fullmatch(TABLE["topics"].pattern, topic)
        return "" if known else "is no topic: a name has 1 to 249 letters, digits, . _ -, and a pattern begins with ^"
    try:
        re.compile(topic)
    except re.error as problem:
        return f"is no regular expression: {problem}"
    return ""


def _not_of_topics(name: str) -> str:
    if name.lower() == "handler":
        return 'stands in handlers, above the first table: handlers = ["orders=module:function"]. Move it there.'
    if name.upper() in _OF_SERVICE:
        return f"holds for the service as a whole. Write it before the first table; topics have {', '.join(_OF_TOPICS)}."
    near = nearest(name.lower(), _OF_TOPICS)
    meant = f"; did you mean {near}? Rename or remove it." if near else f". Topics have {', '.join(_OF_TOPICS)}."
    return f"is not a setting of a topic{meant}"


def _text(row: Any, value: Any) -> Any:
    """A value as one would write it into a variable; None: it is of another kind than wanted."""
    if row is None:  # of the client, whose properties are texts, numbers and truth values
        fit = isinstance(value, (str, int, float))
        return (str(value).lower() if isinstance(value, bool) else str(value)) if fit else None
    if row.highest:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return str(value) if number or (row.automatic and str(value).lower() == AUTO) else None
    if "several with commas" in row.wanted and isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ",".join(value)
    return value if isinstance(value, str) else None


def _of_another_kind(row: Any, value: Any) -> str:
    wanted = row.wanted if isinstance(row, Setting) else "a text, a number or a truth value"
    return f"is {_kind(value)}, and must be {wanted}. Correct it."


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "a time")


def _header(topic: str) -> str:
    """As one writes it."""
    return f"[{TOPICS}.{topic}]" if re.fullmatch(r"[A-Za-z0-9_-]+", topic) else f'[{TOPICS}."{topic}"]'


def _loads(text: str) -> Dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    found: Dict[str, Any] = tomllib.loads(text)
    return found


class Places:
    """In which line what stands: the parser does not say."""

    def __init__(self, path: str) -> None:
        """Of an empty file, so far."""
        self._path = path
        self._lines: Dict[Path, int] = {}

    def note(self, text: str) -> None:
        """The file holds this."""
        table: Path = ()
        for number, line in enumerate(text.split("\n"), 1):
            if re.match(r"\s*\[", line):
                table = _path_of(line) or table
                self._begins(table, number)
            elif "=" in line:
                self._begins(table + _path_of(line.partition("=")[0] + "= 0"), number)

    def _begins(self, path: Path, number: int) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], number)

    def of(self, *path: str) -> str:
        """Where this value stands, or the table that it is written in."""
        while path and path not in self._lines:
            path = path[:-1]
        return f"{self._path}, line {self._lines[path]}" if path in self._lines else self._path


def _path_of(statement: str) -> Path:
    """What the statement is about; empty where it is none, but the inside of a value."""
    try:
        inner: Any = _loads(statement)
    except ValueError:
        return ()
    path: List[str] = []
    while isinstance(inner, dict) and len(inner) == 1:
        (name, inner), *_ = inner.items()
        path.append(name)
    return tuple(path)
