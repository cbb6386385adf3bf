from __future__ import annotations

import io
import json
import logging
import os
import sys
from typing import Callable, Iterator

import pytest

from kafka_worker.shared import logs
from kafka_worker.shared.logs import NotAgain, Seldom

Said = Callable[..., str]
log = logging.getLogger("some.module")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[Said]:
    """Sets logging up with a form, logs one record, and gives what came on standard error."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, logging.raiseExceptions)

    def say(form: str, message: str, *arguments: object, level: int = logging.INFO, name: str = "slot-1") -> str:
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        logs.set_up("DEBUG", form, name)
        log.log(level, message, *arguments)
        return stream.getvalue()

    yield say
    root.handlers[:], logging.raiseExceptions = before[0], before[2]
    root.setLevel(before[1])


def test_a_text_line_has_time_level_process_and_message(said: Said) -> None:
    line = said("text", "hello %s", "world")

    assert line.endswith(f" INFO slot-1[{os.getpid()}] hello world\n")
    assert line[:4].isdigit()


@pytest.mark.parametrize("form", ["text", "journal"])
@pytest.mark.parametrize("message", ["a\n<0>forged", "a\r\nforged", "a\x00<0>forged"])
def test_a_message_never_spans_lines(said: Said, form: str, message: str) -> None:
    line = said(form, "%s", message)

    assert line.count("\n") == 1
    assert line.endswith("forged\n")
    assert not set("\r\x00") & set(line)


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, 3), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7)],
)
def test_a_journal_line_begins_with_the_priority_and_has_no_time_of_its_own(said: Said, level: int, priority: int) -> None:
    assert said("journal", "hello", level=level) == f"<{priority}>slot-1[{os.getpid()}] hello\n"


def test_a_json_line_is_one_object_with_all_fields(said: Said) -> None:
    line = said("json", "hello\n%s", "ä", level=logging.WARNING)

    entry = json.loads(line)
    assert line.count("\n") == 1
    assert entry.pop("time")
    assert entry == {
        "level": "WARNING", "logger": "some.module", "message": "hello\nä", "process": "slot-1", "pid": os.getpid(),
    }  # fmt: skip


class OddError(Exception):
    """Leaves when it is asked for its notes, or for what caused it."""

    __notes__ = __cause__ = property(lambda _self: sys.exit())
    __str__ = lambda _self: sys.exit()  # noqa: E731


@pytest.mark.parametrize("form", ["text", "journal", "json"])
def test_an_error_of_a_users_class_is_logged_whatever_it_does_when_it_is_asked(said: Said, form: str) -> None:
    said(form, "before")
    stream = sys.stderr

    log.error("after", exc_info=OddError())

    assert isinstance(stream, io.StringIO)
    assert "after" in stream.getvalue()
    assert "its traceback raised" in stream.getvalue()


def test_an_error_that_stands_for_another_shows_that_ones_traceback(said: Said) -> None:
    said("text", "before")
    stand_in = ValueError("stand-in")
    stand_in.remote_traceback = "Traceback (of the other)"  # type: ignore[attr-defined]

    log.error("after", exc_info=stand_in)

    assert isinstance(sys.stderr, io.StringIO)
    assert sys.stderr.getvalue().endswith(" after\nTraceback (of the other)\n")


def test_a_percent_sign_in_the_process_name_is_a_percent_sign(said: Said) -> None:
    assert "100%s[" in said("text", "hello", name="100%s")


def test_a_closed_standard_error_is_no_error(said: Said) -> None:
    said("text", "first")
    sys.stderr.close()

    log.error("second")


def test_seldom_logs_at_once_then_counts_and_then_says_how_many_were_left_out(caplog: pytest.LogCaptureFixture) -> None:
    now = [100.0]
    seldom = Seldom(log, lambda: now[0], every=30.0)
    for now[0] in (100.0, 101.0, 129.9, 130.0, 160.0):
        seldom.log(logging.WARNING, "no %s", "broker")

    assert caplog.messages == ["no broker", "no broker (2 more like this in between)", "no broker"]


def client_line(text: str, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord("librdkafka", level, "", 0, text, (), None)


def test_the_client_tells_a_kind_of_trouble_once_in_a_while() -> None:
    now = 100.0
    once = NotAgain(lambda: now, every=30.0)
    refused = "FAIL [vm-0#consumer-1] [thrd:127.0.0.1:9092/bootstrap]: Connect failed: Connection refused (%d suppressed)"

    first = once.filter(client_line(refused % 1))
    again = once.filter(client_line(refused % 2))
    other = once.filter(client_line("SESSTMOUT [vm-0#consumer-1] [thrd:main]: Consumer group session timed out"))
    now = 130.0

    assert (first, again, other) == (True, False, True)
    assert once.filter(client_line(refused % 3))


def test_what_the_client_says_for_debugging_is_never_left_out() -> None:
    once = NotAgain(lambda: 0.0)

    assert all(once.filter(client_line("FETCH [x] [y]: again", logging.DEBUG)) for _ in range(3))
