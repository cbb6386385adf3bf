"""The vocabulary of events: words that programs go by."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Set

from kafka_worker.shared.events import FIELDS, QUOTING, Event, about

PRODUCT = Path(__file__).resolve().parents[3] / "worker"
VOCABULARY = PRODUCT / "shared" / "events.py"


SOURCES = {path: path.read_text("utf-8") for path in PRODUCT.rglob("*.py") if path != VOCABULARY}


def test_each_word_is_one_and_told_somewhere() -> None:
    told = set(re.findall(r"\bEvent\.([A-Z_]+)\b", "".join(SOURCES.values())))

    assert told == set(Event.__members__)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", event.value) for event in Event)
    assert [event.value.replace("-", "_").upper() for event in Event] == list(Event.__members__)


def test_what_is_not_known_is_not_told() -> None:
    assert about(Event.ATTEMPT_FAILED, topic="orders", reason=None) == {"event": "attempt-failed", "topic": "orders"}
    assert "topic" in FIELDS


def test_whatever_quotes_an_error_of_a_handler_is_known_to() -> None:
    quoting: Set[str] = set()
    for source in filter(lambda source: "text_of" in source, SOURCES.values()):
        tree = ast.parse(source)
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        words = {"text_of", *(each.name for each in functions if "text_of" in names_in(each))}
        for call in ast.walk(tree):
            told = [each.value for each in call.keywords if each.arg == "extra"] if isinstance(call, ast.Call) else []
            if told and words & names_in(call):
                quoting |= {each.attr for each in ast.walk(told[0]) if isinstance(each, ast.Attribute) and each.attr.isupper()}

    assert {"ATTEMPT_FAILED", "BREAKER_OPENED"} < quoting <= {event.name for event in QUOTING}


def names_in(node: ast.AST) -> Set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
