"""Logging for every process of the service, on standard error. How a line looks: `log_format`. Who writes it, so that nobody
waits for who reads it: `log_writer`.

Our loggers are not the standard library's: whatever a user does with that in his modules (`dictConfig`, which silences all
loggers that are there already, `basicConfig(force=True)`, `disable`, `setLoggerClass`, a record factory, handlers that block
or raise), ours go on, and no code of his runs in our threads. So handlers on his root logger get his own records only, and
those of his libraries; until he configures logging himself, these come out as ours do.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import sys
import threading
from collections import Counter, deque
from typing import Any, Callable, Deque, Dict, List, NamedTuple, Optional
from typing import Counter as CounterType

from kafka_worker.shared.events import Event, about
from kafka_worker.shared.foreign.texts import counted
from kafka_worker.shared.output import streams
from kafka_worker.shared.output.log_format import Format, event_of, format_of
from kafka_worker.shared.output.log_writer import LogWriter
from kafka_worker.shared.system.deadline import Deadline

MOST_EVENTS = 50  # that are kept for who takes them
END_SECONDS = 0.8  # for what still waits to be written when the process ends
STDOUT, STDERR = 1, 2


class Lost(NamedTuple):
    """What nobody has read."""

    dropped: int  # lines since the process began
    untold: int  # of these: the log does not say yet that they are missing


class _Home(NamedTuple):
    """Where our lines go."""

    level: int
    line: Format
    writers: List[LogWriter]  # that of standard error first
    name: str
    slot: Optional[int]

    def write(self, record: logging.LogRecord) -> None:
        _complete(record)
        self.writers[0].put(self.line(record))

    def hear(self, record: logging.LogRecord) -> None:
        """One of ours. What it tells of is remembered whatever LOG_LEVEL says."""
        _complete(record)
        self.remember(record)
        if record.levelno >= self.level:
            self.writers[0].put(self.line(record))

    def remember(self, record: logging.LogRecord) -> None:
        if "event" in vars(record):
            _events.append(event_of(record, self.name, self.slot))


def _complete(record: logging.LogRecord) -> None:
    for name, value in _also().items():
        vars(record).setdefault(name, value)


_also: Callable[[], Dict[str, str]] = dict  # what each record says besides
_events: Deque[Dict[str, Any]] = deque(maxlen=MOST_EVENTS)  # that nobody has taken yet
_home: Optional[_Home] = None  # as long as there is none (in commands, and in tests), the standard library does it


class Logger(logging.Logger):
    """One of ours."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 (as all of these, the standard library's name)
        return logging.getLogger(self.name).isEnabledFor(level) if _home is None else level >= min(_home.level, logging.INFO)

    def _log(self, level: int, msg: object, args: Any, exc_info: Any = None, extra: Any = None, *_: Any, **__: Any) -> None:
        if issubclass(type(exc_info), BaseException):
            exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
        elif exc_info and not isinstance(exc_info, tuple):
            exc_info = sys.exc_info()
        self.handle(_record(self.name, level, msg, args, exc_info or None, extra))

    def callHandlers(self, record: logging.LogRecord) -> None:  # noqa: N802
        if _home is None:
            logging.getLogger(self.name).handle(record)
        else:
            _home.hear(record)


_Record = logging.LogRecord  # as it is: a user may put another one there


def _record(name: str, level: int, text: object, args: Any, error: Any = None, extra: Any = None) -> logging.LogRecord:
    record = _Record(name, level, "", 0, text, args, error)
    vars(record).update(extra or {})
    return record


class _Rest(logging.Handler):
    """What is logged by users and libraries. Without the lock of other handlers, which a record that takes long would hold."""

    def handle(self, record: logging.LogRecord) -> bool:
        if _home is not None:
            _home.write(record)
        return True


def logger(name: str) -> Logger:
    """A logger of ours."""
    return Logger(name)


log = logger(__name__)


def set_up(level: str, form: str, name: str, slot: Optional[int] = None) -> None:
    """Send all logging of this process, and what is printed, to standard error and output by writers of their own. `form` is
    text, json or journal; `name` says which process it is, and `slot` whose."""
    global _home  # noqa: PLW0603 (there is one standard error)
    line = format_of(form, name, slot)
    stderr = LogWriter(STDERR, lambda count: line(_missing(count)))
    stdout = stderr if streams.place(STDOUT) == streams.place(STDERR) else LogWriter(STDOUT, _not_printed)
    logging.basicConfig(level=level, handlers=[_Rest()], force=True)
    _home = _Home(logging.getLogger().level, line, [stderr] if stdout is stderr else [stderr, stdout], name, slot)
    sys.stderr, sys.stdout = stderr.stream(sys.stderr), stdout.stream(sys.stdout)
    atexit.register(end)


def tell_also(fields: Callable[[], Dict[str, str]]) -> None:
    """Each record also says what this gives when it is written, in the thread that writes it."""
    global _also  # noqa: PLW0603 (there is one log)
    _also = fields


def end() -> None:
    """The process ends: what still waits is written, as far as somebody reads it. Handlers and streams of the user's may do
    anything when they are asked for the last time."""
    if _home is None:
        return
    deadline = Deadline(END_SECONDS)
    with contextlib.suppress(RuntimeError):  # there may be no room for another thread
        users = threading.Thread(target=_end_of_users, daemon=True)
        users.start()
        users.join(END_SECONDS / 2)
    for writer in _home.writers:
        writer.flush(deadline.remaining())


def _end_of_users() -> None:
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed, or none
            stream.flush()


def lost() -> Lost:
    """What nobody has read of what this process had to say."""
    writers = _home.writers if _home else []
    dropped = sum(writer.dropped for writer in writers)
    return Lost(dropped, dropped - sum(writer.told for writer in writers))


def take_events() -> List[Dict[str, Any]]:
    """What has happened in this process since the last time, the oldest first; of very much the newest."""
    taken = []
    with contextlib.suppress(IndexError):
        while True:
            taken.append(_events.popleft())
    return taken


def _missing(count: int) -> logging.LogRecord:
    text = "Missing here: %s of the log, which nobody has read for a while"
    record = _record(log.name, logging.WARNING, text, (counted(count, "line"),), extra=about(Event.LOG_DROPPED))
    if _home is not None:
        _home.remember(record)
    return record


def _not_printed(count: int) -> bytes:
    """What reads standard output may be a program, to which a word of ours would be one of the handler's."""
    log.warning(
        "Missing: %s that handlers have printed: nobody has read standard output for a while",
        counted(count, "line"), extra=about(Event.LOG_DROPPED),
    )  # fmt: skip
    return b""


class Seldom:
    """Logs each message at most once in a while, whatever its arguments, and then says how often it was left out: for
    conditions that last, like a broker that is away. None silences another.
    """

    def __init__(self, log: logging.Logger, clock: Callable[[], float], every: float = 30.0) -> None:
        """`every`: seconds between two lines of a message; `clock`: monotonic seconds."""
        self._log = log
        self._clock = clock
        self._every = every
        self._next: Dict[str, float] = {}
        self._left_out: CounterType[str] = Counter()

    def log(self, level: int, message: str, *arguments: object, extra: Optional[Dict[str, object]] = None) -> None:
        """Log it, or count it."""
        now = self._clock()
        if now < self._next.get(message, now):
            self._left_out[message] += 1
            return
        self._next[message] = now + self._every
        left_out = self._left_out.pop(message, 0)
        more = f" ({left_out} more like this in between)" if left_out else ""
        self._log.log(level, message + more, *arguments, extra=extra)
