"""Logging for every process of the service: one line a record, one `write` a line (lines of up to 4,096 bytes of several
processes on one pipe do not mix), on standard error. The format follows where it goes: plain text, JSON when asked, and
without a time of our own but with systemd's level prefix when standard error is the journal.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any, Callable, Dict

TEXT = "%(asctime)s %(levelname)s {name} %(message)s"
JOURNAL = "<%(priority)d>{name} %(message)s"
_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))  # syslog's


class _Harmless(logging.Formatter):
    """An exception may be of a user's class, which may do anything when it is asked: whatever that is, it ends no thread that
    logs. One that stands for a user's carries its traceback with it."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 (the standard library's name)
        try:
            told = getattr(ei[1], "remote_traceback", None)
            return told.rstrip() if type(told) is str and told else super().formatException(ei)
        except BaseException as problem:
            return f"(its traceback raised {type(problem).__name__})"


class _OneLine(_Harmless):
    """Text in which a record never spans lines by accident: a message's own line breaks are escaped, so that nobody can
    forge a log line with a crafted message. Tracebacks, which we make ourselves, keep theirs."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the standard library's name)
        # A NUL ends a line in the journal, too.
        record.message = record.message.replace("\r", "\\r").replace("\n", "\\n").replace("\0", "\\0")
        record.priority = next(priority for level, priority in _PRIORITIES if record.levelno >= level)
        return super().formatMessage(record)


def set_up(level: str, form: str, name: str) -> None:
    """Send all logging of this process to standard error. `form` is text, json or journal; `name` says which
    process it is.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(form, name))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.raiseExceptions = False  # a closed standard error must not turn each log call into a traceback


def _formatter(form: str, name: str) -> logging.Formatter:
    if form == "json":
        # Imported here, because a child that writes text need not carry it.
        from pythonjsonlogger.json import JsonFormatter

        class Json(_Harmless, JsonFormatter):
            """One object a record."""

        return Json(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            static_fields={"process": name, "pid": os.getpid()},
        )
    template = JOURNAL if form == "journal" else TEXT
    return _OneLine(template.format(name=f"{name.replace('%', '%%')}[{os.getpid()}]"))


class NotAgain(logging.Filter):
    """For the log of the Kafka client, which tells of each refused connection, twenty times a second while its only broker
    is away: one line of a kind (what happened, to which client, at which broker) in a while.

    (`metadata.recovery.strategy=none` would silence it too, but then a client that is once told of no brokers, as by one
    that has just been thawed, has none for ever: measured.)
    """

    def __init__(self, clock: Callable[[], float], every: float = 30.0) -> None:
        """`every`: seconds between two lines of a kind; `clock`: monotonic seconds."""
        super().__init__()
        self._clock = clock
        self._every = every
        self._next: Dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is logged; debugging always is."""
        kind = record.getMessage().partition("]: ")[0]
        now = self._clock()
        if record.levelno > logging.DEBUG and now < self._next.get(kind, now):
            return False
        self._next[kind] = now + self._every
        return True


class Seldom:
    """Logs a message of one kind at most once in a while, and then says how often it was left out: for
    conditions that last, like a broker that is away.
    """

    def __init__(self, log: logging.Logger, clock: Callable[[], float], every: float = 30.0) -> None:
        """`every`: seconds between two lines; `clock`: monotonic seconds."""
        self._log = log
        self._clock = clock
        self._every = every
        self._next = float("-inf")
        self._left_out = 0

    def log(self, level: int, message: str, *arguments: object) -> None:
        """Log it, or count it."""
        now = self._clock()
        if now < self._next:
            self._left_out += 1
            return
        if self._left_out:
            message += f" ({self._left_out} more like this in between)"
        self._next, self._left_out = now + self._every, 0
        self._log.log(level, message, *arguments)
