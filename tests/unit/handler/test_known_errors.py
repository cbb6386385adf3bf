"""A class that settings name, and that is not there, is told with the one that is meant."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List, NoReturn

import pytest

from kafka_worker.handler import known_errors
from kafka_worker.handler.known_errors import said_of
from kafka_worker.shared.output import last_words
from tests.unit.fakes import some_settings


class Passing:
    """What others inherit from."""


class OutOfStockError(Passing, ValueError):
    """One of a handler's."""

    class OfABookError(Exception):
        """In it."""


HERE = __name__
MEANT = {
    "TimoutError": "TimeoutError",
    "timeouterror": "TimeoutError",
    "OutOfStokError": "OutOfStockError",
    "IOError": "OSError",
    "socket.error": "OSError",
    "json.JSONDecodeError": "json.decoder.JSONDecodeError",
    "decoder.JSONDecodeError": "json.decoder.JSONDecodeError",
    "json.decoder.JSONDecodError": "json.decoder.JSONDecodeError",
    "jsn.decoder.JSONDecodeError": "json.decoder.JSONDecodeError",
    f"{HERE}.OutOfStock": "",  # what a class has that may still come
    "NoSuchKey": "",
    "botocore.errorfactory.NoSuchKey": "",
    "FileThatIsNotFoundError": "",
}
RIGHT = (
    "TimeoutError", "builtins.TimeoutError", "JSONDecodeError", "json.decoder.JSONDecodeError", "Passing", f"{HERE}.Passing",
    f"{HERE}.OutOfStockError", f"{HERE}.OutOfStockError.OfABookError", "OfABookError", "xml.etree.ElementTree.ParseError",
)  # fmt: skip


@pytest.mark.parametrize("name", MEANT)
def test_a_class_that_is_not_there_is_told_with_the_one_that_is_meant(name: str) -> None:
    assert json.loads("1")  # it is imported
    faults, warnings = said_of(some_settings(retryable_errors=(name,)))

    told = f"RETRYABLE_ERRORS = {name}: no exception has this name"
    if MEANT[name]:
        assert [fault.split(" (")[0] for fault in faults] == [f"{told}; did you mean {MEANT[name]}?"]
        assert warnings == []
    else:
        assert faults == []
        assert [warning.startswith(f"{told} when the handlers are imported") for warning in warnings] == [True]


def test_nothing_is_said_of_a_class_that_is_there_or_that_others_inherit_from() -> None:
    assert said_of(some_settings(retryable_errors=RIGHT)) == ([], [])


def test_nobody_looks_through_all_classes_for_those_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_errors, "_known", lambda: pytest.fail("looked"))

    assert said_of(some_settings(fatal_errors=("ValueError",))) == ([], [])


def test_it_is_told_once_and_of_which_topic_a_name_is() -> None:
    own: Dict[str, Dict[str, object]] = {"orders": {"fatal_errors": ("ValuError",)}}

    faults = said_of(some_settings(topic_tables=own, retryable_errors=("KeyEror",))).faults

    assert [fault.split(":")[0] for fault in faults] == ["RETRYABLE_ERRORS = KeyEror", "FATAL_ERRORS of orders = ValuError"]


@pytest.mark.parametrize("raised", ["ValueError", "SystemExit", "BaseException"])
def test_a_module_that_cannot_be_imported_has_no_class_whatever_it_raises(
    raised: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "of_no_use.py").write_text(f"import last_words_seen\nlast_words_seen.look()\nraise {raised}()")
    monkeypatch.syspath_prepend(tmp_path)
    noted: List[str] = []
    seen = SimpleNamespace(look=lambda: noted.extend(last_words._AT.values()))
    monkeypatch.setitem(sys.modules, "last_words_seen", seen)

    faults, warnings = said_of(some_settings(fatal_errors=("of_no_use.SomeError",)))

    assert (faults, len(warnings)) == ([], 1)
    assert noted == ["importing of_no_use.SomeError"]  # should it end the process


def test_a_class_that_raises_whatever_it_is_asked_keeps_no_other_from_being_told() -> None:
    def leave(*_: Any) -> NoReturn:
        raise SystemExit

    odd: Any = type("Odd", (type,), {"__getattribute__": leave, "__hash__": leave, "__eq__": leave})
    one = odd("OfAnOddKindError", (ValueError,), {})

    said = said_of(some_settings(retryable_errors=("OutOfStokError",)))

    assert one is not None
    assert "did you mean OutOfStockError?" in said.faults[0]
