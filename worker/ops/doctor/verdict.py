"""How a check comes out. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Iterable, NamedTuple


class State(str, Enum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"  # it works, and perhaps not as is meant
    FAIL = "fail"
    SKIPPED = "skipped"  # can't be told


class Verdict(NamedTuple):
    """What a check found."""

    state: State
    text: str
    fix: str = ""


def ok(text: str) -> Verdict:
    """Nothing is wrong."""
    return Verdict(State.OK, text)


def first_of(verdicts: Iterable[Verdict], otherwise: str) -> Verdict:
    """All that is wrong in one verdict, with the first remedy; `otherwise`: what is right."""
    found = list(verdicts)
    if not found:
        return ok(otherwise)
    worst = State.FAIL if any(each.state is State.FAIL for each in found) else State.WARN
    return Verdict(worst, "; ".join(each.text for each in found), found[0].fix)
