"""Validates settings by their table: which source wins, whether a value is what its row wants, and what to say when it is not.
Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence, Tuple

from kafka_worker.shared.setting import AUTO, Setting
from kafka_worker.shared.settings import ABSOLUTE_PATH, TABLE, Settings

if TYPE_CHECKING:
    from kafka_worker.shared.configuration.given import Given

Source = Mapping[str, "Given"]  # by field of Settings


def validate(sources: Sequence[Source], optional: Sequence[str] = ()) -> Tuple[Dict[str, Any], List[str]]:
    """Values by field, and all faults, one line each. The first source that has a setting wins; `optional`
    settings may be missing. A value left to "auto" is None; a wrong one is as if it had not been given.
    """
    values = {name: None if row.automatic else getattr(Settings, name, "") for name, row in TABLE.items()}
    faults = []
    for name, row in TABLE.items():
        given = next((source[name] for source in sources if name in source), None)
        if given is not None:
            try:
                values[name] = _read(row, given.value.strip())
            except ValueError:
                faults.append(_wrong(row, given))
        elif row.required and name not in optional:
            faults.append(_missing(row))
    return values, faults


def validate_own(given: Source) -> Tuple[Dict[str, Any], List[str]]:
    """The same of what a topic has of its own: nothing is required, and there are no defaults."""
    values = {}
    faults = []
    for name, each in given.items():
        try:
            values[name] = _read(TABLE[name], each.value.strip())
        except ValueError:
            wanted = TABLE[name].wanted
            faults.append(f"{each.described()} must be {wanted}. Correct it, or remove it for what the service has.")
    return values, faults


def _read(row: Setting, value: str) -> Any:
    """The value of a setting, from its written form. Raises ValueError."""
    if row.automatic and value.lower() == AUTO:
        return None
    if row.highest:
        return _number(row, value)
    if row.choices:
        return row.choices[[choice.lower() for choice in row.choices].index(value.lower())]
    if row.form == ABSOLUTE_PATH:
        value = value.split(":", 1)[0]  # systemd gives all directories of a unit
    if not value and (row.emptied or not (row.default or row.required)):
        return () if row.several else ""
    if row.several:
        items = tuple(dict.fromkeys(item.strip() for item in value.split(",")))
        return tuple(_matching(row.pattern, item) for item in items)
    return _matching(row.pattern, value) if row.pattern else value


def _number(row: Setting, value: str) -> float:
    if not row.unit:
        _matching(r"[+-]?[0-9_]+(\.0+)?", value)
    number = float(value)
    if not value.isascii() or not row.lowest <= number <= row.highest:  # which NaN is not, either
        raise ValueError
    return number if row.unit else int(number)


def _matching(pattern: str, value: str) -> str:
    if not re.fullmatch(pattern, value):
        raise ValueError
    return value


def _missing(row: Setting) -> str:
    return f"{row.environment} is required, but not given. It must be {row.wanted}. Set {row.environment} or {row.flag}."


def _wrong(row: Setting, given: Given) -> str:
    """One line: what was given and where, what is wanted, what to do."""
    default = "" if row.required else f", or remove it for the default {row.default}" if row.default else ", or remove it"
    return f"{given.described()} must be {row.wanted}. Correct it{default}."
