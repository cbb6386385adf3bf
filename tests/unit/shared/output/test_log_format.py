"""How records look: no text of a stranger makes a line of its own, or gets a priority."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_worker.shared.events import FIELDS, Event, about
from kafka_worker.shared.foreign.exceptions import copied
from kafka_worker.shared.output.log_format import LONGEST_LINE, event_of, format_of

ATOMIC = 4096  # bytes that are written in one piece
FORGED = "bad\n<0>forged\r\n\x1b[2J\x00\u202e2026-01-01 00:00:00,000 ERROR supervisor[1] forged\x85\u2028forged"


def record(message: str, *args: object, level: int = logging.INFO, error: Any = None, **fields: object) -> logging.LogRecord:
    found = logging.LogRecord("some.module", level, "", 0, message, args, (type(error), error, None) if error else None)
    vars(found).update(fields)
    return found


def lines(form: str, told: logging.LogRecord, slot: Optional[int] = None) -> List[str]:
    made = format_of(form, "slot-1", slot)(told).decode()
    assert made.endswith("\n")
    return made.split("\n")[:-1]


def entry(told: logging.LogRecord, slot: Optional[int] = None) -> Dict[str, Any]:
    (line,) = lines("json", told, slot)
    return dict(json.loads(line))


def raised(text: str) -> Exception:
    try:
        raise ValueError(text)  # noqa: TRY301
    except ValueError as error:
        return copied(error)


def test_a_text_line_has_time_level_process_and_message() -> None:
    (line,) = lines("text", record("hello %s", "world"))

    assert line.endswith(f" INFO slot-1[{os.getpid()}] hello world")
    assert line[:4].isdigit()


@pytest.mark.parametrize("form", ["text", "journal", "json"])
@pytest.mark.parametrize("fields", [{}, {"error": raised(FORGED)}, {"topic": FORGED, "stack_info": FORGED}])
def test_what_strangers_have_written_forges_nothing(form: str, fields: Dict[str, Any]) -> None:
    first, *rest = lines(form, record("%s", FORGED, level=logging.ERROR, **fields))

    assert all(char.isprintable() for line in (first, *rest) for char in line)
    if form == "json":
        assert rest == []
        assert json.loads(first)["message"] == FORGED
    else:
        assert first.startswith("<3>slot-1[" if form == "journal" else "20")
        assert all(line.startswith("<3>  | " if form == "journal" else "  | ") for line in rest)
        assert bool(rest) == bool(fields)


@given(st.text(st.characters(), max_size=3000), st.text(st.characters(), max_size=3000))
def test_any_text_comes_in_lines_that_are_written_in_one_piece_each(message: str, error: str) -> None:
    for form in ("text", "journal"):
        made = lines(form, record("%s", message, error=ValueError(error)))
        assert max(len(line.encode()) for line in made) < ATOMIC
        assert all(line.isprintable() for line in made)
    assert len(lines("json", record("%s", message, error=ValueError(error)))[0]) <= LONGEST_LINE


@pytest.mark.parametrize("form", ["text", "journal", "json"])
def test_five_megabytes_of_text_are_cut_and_the_place_where_they_came_from_is_kept(form: str) -> None:
    made = "\n".join(lines(form, record("%s", "x" * 5_000_000, error=raised("y" * 5_000_000), topic="z" * 5_000_000)))

    assert len(made) < 3 * LONGEST_LINE
    assert "in raised" in made
    assert "characters" in made


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, 3), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7), (25, 6), (1, 7)],
)
def test_each_line_for_the_journal_has_the_priority_and_no_time_of_its_own(level: int, priority: int) -> None:
    first, *rest = lines("journal", record("hello", level=level, error=raised("why")))

    assert first == f"<{priority}>slot-1[{os.getpid()}] hello"
    assert rest[0] == f"<{priority}>  | Traceback (most recent call last):"
    assert all(line.startswith(f"<{priority}>  | ") for line in rest)


def test_a_json_line_is_one_object_with_what_is_known() -> None:
    told = record("hello\n%s", "ä", level=logging.WARNING, **about(Event.LOG_DROPPED, topic="t", partition=0, reason=None))

    made = entry(told, slot=1)

    assert made.pop("time")[-6:] == "+00:00"
    assert made == {
        "level": "WARNING", "logger": "some.module", "message": "hello\nä", "event": "log-dropped", "process": "slot-1",
        "pid": os.getpid(), "slot": 1, "topic": "t", "partition": 0,
    }  # fmt: skip
    assert [name for name in made if name in FIELDS] == [name for name in FIELDS if name in made]


def test_a_json_line_names_the_error_and_has_what_users_add() -> None:
    made = entry(record("failed", error=raised("why"), order=7, odd={1, 2}, slot=3))

    assert (made["error_type"], made["order"], made["odd"], made["slot"]) == ("ValueError", 7, "{1, 2}", 3)
    assert made["exc_info"].endswith("ValueError: why")


class OddError(Exception):
    """Leaves when it is asked for its notes, or for what caused it."""

    __notes__ = __cause__ = property(lambda _self: sys.exit())
    __str__ = lambda _self: sys.exit()  # noqa: E731


class OddText:
    """Leaves whatever it is asked."""

    __str__ = __repr__ = __format__ = lambda *_: sys.exit()  # type: ignore[assignment]


@pytest.mark.parametrize("form", ["text", "journal", "json"])
def test_an_object_of_a_user_ends_nothing_whatever_it_does_when_it_is_asked(form: str) -> None:
    assert "its traceback raised" in lines(form, record("after", error=OddError()))[-1]
    assert "can't be filled in: SystemExit" in lines(form, record("of %s", OddText()))[0]
    assert "can't be filled in: TypeError" in lines(form, record("of %d", "none"))[0]
    assert len(lines(form, record(OddText(), field=OddText()))) == 1  # type: ignore[arg-type]


def test_a_level_is_called_as_it_is_whatever_users_call_it() -> None:
    logging.addLevelName(25, "\x1bNOTICE")
    logging.addLevelName(logging.ERROR, "\x1bERROR")
    try:
        assert " \\x1bNOTICE slot-1[" in lines("text", record("hello", level=25))[0]
        assert " ERROR slot-1[" in lines("text", record("hello", level=logging.ERROR))[0]
    finally:
        logging.addLevelName(logging.ERROR, "ERROR")


def test_an_error_that_stands_for_another_shows_that_ones_traceback() -> None:
    stand_in = raised("why")
    stand_in.remote_traceback = "Traceback (of the other)"  # type: ignore[attr-defined]

    assert lines("text", record("after", error=stand_in))[1:] == ["  | Traceback (of the other)"]


def test_an_event_that_can_not_be_told_says_when_it_was_and_whose() -> None:
    class Untold:
        def __str__(self) -> str:
            raise ValueError

    event = event_of(record("hello", level=logging.WARNING, event="assigned", topic=Untold()), "slot-1", 1)

    age = datetime.now(timezone.utc) - datetime.fromisoformat(event["time"])
    assert 0 <= age.total_seconds() < 60
    assert (event["level"], event["process"], event["event"]) == ("WARNING", "slot-1", Event.FAULT.value)
    assert event["message"] == "An event of slot-1 can't be told: ValueError"
