"""How a record looks: text, text for systemd's journal, or JSON. What stands in it was written by strangers as a rule (keys,
payloads, texts of errors, file names): none of that makes a line of its own, moves a cursor, or gets a priority.

A record is one line. What it says of an error, or what is too long to be written in one piece, follows in lines that begin
with a mark; in the journal they have the priority of the record.
"""

from __future__ import annotations

import json
import logging
import time
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Iterator, Optional

from kafka_worker.shared.events import FIELDS, Event
from kafka_worker.shared.foreign.errors import class_of, traceback_of
from kafka_worker.shared.foreign.texts import escaped, shortened

LONGEST_TEXT = LONGEST_TRACEBACK = 8000  # characters
LONGEST_OF_EVENT = 300  # characters of each text
LONGEST_LINE = 16_000  # bytes of a line of JSON
IN_ONE_PIECE = 900  # characters of a line, which with what stands before them are never mixed with those of other processes
MORE = "  | "  # what begins a line that belongs to the one above

# Whatever `logging.addLevelName` makes of them.
_LEVELS = {getattr(logging, name): name for name in ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")}
_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))  # syslog's
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}

Format = Callable[[logging.LogRecord], bytes]


def format_of(form: str, name: str, slot: Optional[int] = None) -> Format:
    """`form` is text, json or journal; `name` says which process it is, `slot` whose. What is made never raises."""
    make = {"json": _json, "journal": _journal}.get(form, _text)

    def line(record: logging.LogRecord) -> bytes:
        try:
            return make(record, name, slot)
        except BaseException as problem:  # no memory, or the user's objects among the fields
            return f"A log line of {name} can't be made: {type(problem).__name__}\n".encode("ascii", "backslashreplace")

    return line


def _text(record: logging.LogRecord, name: str, _slot: Optional[int]) -> bytes:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
    return _lines(f"{at},{int(record.msecs):03d} {_level(record)} {name}[{record.process}] ", MORE, record)


def _journal(record: logging.LogRecord, name: str, _slot: Optional[int]) -> bytes:
    """It adds the time itself, and takes the priority from the beginning of each line."""
    priority = next(priority for level, priority in _PRIORITIES if record.levelno >= level)
    return _lines(f"<{priority}>{name}[{record.process}] ", f"<{priority}>{MORE}", record)


def _lines(head: str, more: str, record: logging.LogRecord) -> bytes:
    first, *rest = _pieces(_message(record))
    more_of_it = f"{_error(record)}\n{vars(record).get('stack', '')}"
    rest += [piece for line in more_of_it.splitlines() if line for piece in _pieces(line)]
    return "".join([head + first + "\n", *(more + line + "\n" for line in rest)]).encode("utf-8", "backslashreplace")


def _pieces(text: str) -> Iterator[str]:
    safe = escaped(text)
    yield safe[:IN_ONE_PIECE]
    yield from (safe[start : start + IN_ONE_PIECE] for start in range(IN_ONE_PIECE, len(safe), IN_ONE_PIECE))


def event_of(record: logging.LogRecord, name: str, slot: Optional[int]) -> Dict[str, Any]:
    """What whoever lists events is told of it: as in a line of JSON, in plain data, and short. Never raises."""
    try:
        event = _fields_of(record, name, slot)
        return {
            field: value if isinstance(value, int) else shortened(str(value), LONGEST_OF_EVENT)
            for field, value in event.items()
        }
    except BaseException as problem:
        return {
            "time": _in_words(time.time()),
            "level": _LEVELS.get(record.levelno, "ERROR"),
            "message": f"An event of {name} can't be told: {type(problem).__name__}",
            "event": Event.FAULT.value,
            "process": name,
        }


def _fields_of(record: logging.LogRecord, name: str, slot: Optional[int]) -> Dict[str, Any]:
    """What a line of JSON says of the record, but for what only whoever has made it knows the name of, and tracebacks."""
    more = {field: value for field, value in vars(record).items() if field in FIELDS}
    known = {"slot": slot, "error_type": _error_type(record), **more, "process": name, "pid": record.process}
    return {
        "time": _in_words(record.created),
        "level": _level(record),
        "logger": record.name,
        "message": _message(record),
        **{field: known[field] for field in FIELDS if known.get(field) is not None},
    }


def _json(record: logging.LogRecord, name: str, slot: Optional[int]) -> bytes:
    entry = _fields_of(record, name, slot)
    entry.update((field, value) for field, value in vars(record).items() if field not in _STANDARD and field not in FIELDS)
    error = _error(record)
    if error:
        entry["exc_info"] = error
    line = _dumped(entry)
    while len(line) > LONGEST_LINE:  # of what is longest the half is left, until it fits
        longest = max(entry, key=lambda field: len(str(entry[field])))
        entry[longest] = shortened(str(entry[longest]), len(str(entry[longest])) // 2)
        line = _dumped(entry)
    return line.encode() + b"\n"


def _dumped(entry: Dict[str, Any]) -> str:
    return json.dumps(entry, default=str, skipkeys=True)


def _in_words(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="milliseconds")


def _level(record: logging.LogRecord) -> str:
    return _LEVELS.get(record.levelno) or escaped(str(record.levelname))


def _message(record: logging.LogRecord) -> str:
    try:
        text = str(record.getMessage())
    except BaseException as problem:  # a placeholder too many, or an object of the user's that does not want to be told
        text = f"{record.msg!r:.200} (can't be filled in: {type(problem).__name__})"
    return shortened(text, LONGEST_TEXT)


def _error(record: logging.LogRecord) -> str:
    """The traceback of what the record is about, and the stack it asks for."""
    error = record.exc_info[1] if record.exc_info else None
    parts = [traceback_of(error, LONGEST_TRACEBACK) if error is not None else "", record.stack_info or ""]
    return "\n".join(part.rstrip() for part in parts if part)


def _error_type(record: logging.LogRecord) -> Optional[str]:
    error = record.exc_info[1] if record.exc_info else None
    return class_of(error) if error is not None else None
