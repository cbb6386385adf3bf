"""Our lines go out whatever users do with the standard library's logging, and wait for nobody."""

from __future__ import annotations

import logging
import logging.config
import os
import sys
import threading
from typing import Any, Callable, Dict, Iterator, List

import pytest

from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.logs import Lost, Seldom
from kafka_worker.shared.output import log_writer

log = logs.logger("some.module")
SECONDS = 30


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Logging is set up; gives the next lines on standard error."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.raiseExceptions, logging.getLoggerClass(), logging.getLogRecordFactory())
    reader, writer = os.pipe()
    for name in ("STDERR", "STDOUT"):
        monkeypatch.setattr(logs, name, writer)
    for name in ("stderr", "stdout"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setattr(logs, "_home", None)
    monkeypatch.setattr("atexit.register", lambda _end: None)
    logs.set_up("INFO", "journal", "slot-1", 1)
    assert logs._home
    (ours,) = logs._home.writers

    yield lambda: os.read(reader, 1 << 16).decode()

    ours.close()
    os.close(reader)
    os.close(writer)
    logging.disable(logging.NOTSET)
    for each in loggers():
        each.disabled = False
    root.handlers[:], logging.raiseExceptions = before[0], before[2]
    root.setLevel(before[1])
    logging.setLoggerClass(before[3])
    logging.setLogRecordFactory(before[4])


class Blocks(logging.Handler):
    """Of a user's who ships his log to somewhere that does not answer."""

    def emit(self, record: logging.LogRecord) -> None:
        threading.Event().wait()


class Leaves(logging.Logger):
    """Of a user's who does not want to be asked."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802
        sys.exit()


def leave(*_: Any, **__: Any) -> Any:
    sys.exit()


def loggers() -> List[logging.Logger]:
    return [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]


def silenced() -> None:
    for each in loggers():
        each.disabled = True


HABITS: Dict[str, Callable[[], object]] = {
    "dictConfig": lambda: logging.config.dictConfig({"version": 1, "root": {"level": "CRITICAL"}}),
    "basicConfig": lambda: logging.basicConfig(force=True, level="CRITICAL", handlers=[Blocks()]),
    "disable": lambda: logging.disable(logging.CRITICAL),
    "loggers that are there": silenced,
    "a class of loggers": lambda: logging.setLoggerClass(Leaves),
    "a record factory": lambda: logging.setLogRecordFactory(leave),
    "no handlers": logging.root.handlers.clear,
    "the end of logging": logging.shutdown,
    "errors of logging": lambda: setattr(logging, "raiseExceptions", True),
    "standard error": lambda: setattr(sys, "stderr", None),
}


@pytest.mark.parametrize("habit", HABITS)
def test_whatever_users_do_with_logging_our_lines_go_out(read: Callable[[], str], habit: str) -> None:
    HABITS[habit]()

    log.info("ours")

    assert read() == f"<6>slot-1[{os.getpid()}] ours\n"


def test_the_lock_of_the_standard_library_s_logging_holds_up_nobody(read: Callable[[], str]) -> None:
    locked, done = threading.Event(), threading.Event()

    def configure() -> None:
        with logging._lock:  # type: ignore[attr-defined]
            locked.set()
            done.wait(SECONDS)

    thread = threading.Thread(target=configure)
    thread.start()
    locked.wait(SECONDS)

    log.info("ours")

    assert "ours" in read()
    done.set()
    thread.join()


def test_what_users_log_comes_out_as_ours_does(read: Callable[[], str]) -> None:
    logging.getLogger("users").debug("not wanted")
    logging.getLogger("users").warning("his\n<0>own")

    assert read() == f"<4>slot-1[{os.getpid()}] his\\n<0>own\n"


def test_a_level_that_is_not_wanted_costs_no_line(read: Callable[[], str]) -> None:
    log.debug("not wanted")
    log.error("wanted", exc_info=ValueError("why"))

    assert read().splitlines() == [f"<3>slot-1[{os.getpid()}] wanted", "<3>  | ValueError: why"]


def test_what_happens_is_remembered_in_plain_data_whatever_is_logged_and_of_very_much_the_newest(
    read: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert logs._home
    monkeypatch.setattr(logs, "_home", logs._home._replace(level=logging.ERROR))
    logs.take_events()
    log.info("nothing of note")
    log.info("slot %d: %s", 1, "x" * 1000, extra=about(Event.PROCESS_STARTED, slot=1, reason=ValueError("why")))
    log.debug("not wanted", extra=about(Event.ASSIGNED))
    logging.getLogger("users").error("his own", extra={"event": "mine"})

    (event,) = logs.take_events()
    for _ in range(logs.MOST_EVENTS + 5):
        log.warning("again", extra=about(Event.ATTEMPT_FAILED, offset=_))

    assert (event["event"], event["level"], event["process"], event["slot"]) == ("process-started", "INFO", "slot-1", 1)
    assert (event["pid"], event["reason"], len(event["message"]) < 350) == (os.getpid(), "why", True)
    assert [each["offset"] for each in logs.take_events()] == list(range(5, logs.MOST_EVENTS + 5))
    assert logs.take_events() == []
    assert read() == f"<3>slot-1[{os.getpid()}] his own\n"


def test_what_nobody_reads_is_counted_and_told_when_it_flows(read: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_writer, "PATIENCE_SECONDS", 0.01)
    for number in range(3000):
        log.info("%0100d", number)
    lost = logs.lost()

    text = ""
    while "Missing here: " not in text:
        text += read()

    assert lost.dropped == lost.untold > 0
    assert f"<4>slot-1[{os.getpid()}] Missing here: {lost.dropped} lines of the log, which nobody has read for a while" in text


def test_the_last_lines_come_out_at_the_end_though_a_handler_of_the_users_hangs(
    read: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = threading.Event()

    class Hangs(logging.Handler):
        def flush(self) -> None:
            gone.wait(SECONDS)

    monkeypatch.setattr(logs, "END_SECONDS", 0.02)
    handler = Hangs()
    for number in range(10):
        log.info("%d", number)

    logs.end()

    assert read().count("\n") == 10
    gone.set()
    handler.close()


def test_as_long_as_nothing_is_set_up_the_standard_library_does_it(caplog: pytest.LogCaptureFixture) -> None:
    log.warning("hello %s", "world")

    assert caplog.messages == ["hello world"]
    assert logs.lost() == Lost(0, 0)


def test_seldom_logs_at_once_then_counts_and_then_says_how_many_were_left_out(caplog: pytest.LogCaptureFixture) -> None:
    now = [100.0]
    seldom = Seldom(log, lambda: now[0], every=30.0)
    for now[0] in (100.0, 101.0, 129.9, 130.0, 160.0):
        seldom.log(logging.WARNING, "no %s", "broker")

    assert caplog.messages == ["no broker", "no broker (2 more like this in between)", "no broker"]


def test_what_is_told_seldom_silences_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    seldom = Seldom(log, lambda: 100.0)
    for message, what in (("%s is missing", "a topic"), ("%s is refused", "reading"), ("%s is missing", "another")):
        seldom.log(logging.WARNING, message, what)

    assert caplog.messages == ["a topic is missing", "reading is refused"]
