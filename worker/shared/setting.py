"""One row of the table of settings: what a setting means, how it is given, and what it may be. Pure; standard library only."""

from __future__ import annotations

from dataclasses import MISSING, field
from typing import Any, NamedTuple, Tuple

AUTO = "auto"
# Patterns: a function `module:function`, the class of an error.
FUNCTION = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*"
ERROR = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"


class Setting(NamedTuple):
    """One row of the table, except for its type and default, which are those of the field in `Settings`."""

    environment: str
    flag: str
    group: str  # heading under which help and `.env.example` show it
    meaning: str
    unit: str = ""  # of a number; one without a unit is a count, a whole number
    lowest: float = 0
    highest: float = 0  # the range of a number, both ends allowed
    choices: Tuple[str, ...] = ()
    pattern: str = ""  # what the whole of a text (or each of several) must match
    several: bool = False  # whether commas separate several texts
    form: str = ""  # the pattern in words
    automatic: str = ""  # what "auto" (then the default) stands for; empty: there is no "auto"
    default: str = ""  # as one would write it; empty: nothing
    required: bool = False
    emptied: bool = False  # nothing may be said in place of a default

    @property
    def wanted(self) -> str:
        """The form and range of a value, in words."""
        form = self.form or ("one of " + ", ".join(self.choices) if self.choices else self._range())
        return form + (f', or "{AUTO}"' if self.automatic else "")

    @property
    def placeholder(self) -> str:
        """What stands for a value in a usage line."""
        if self.choices:
            return "|".join(self.choices)
        if self.pattern:
            return self.flag.split("-")[-1].upper()
        return "SECONDS" if self.unit == "seconds" else "NUMBER" if self.unit else "N"

    @property
    def default_described(self) -> str:
        """The default in words."""
        automatic = f" ({self.automatic})" if self.automatic else ""
        return "required" if self.required else f"default {self.default or 'nothing'}{automatic}"

    def _range(self) -> str:
        kind = f"{self.unit}, a number" if self.unit else "a whole number"
        return f"{kind} from {_plain(self.lowest)} to {_plain(self.highest)}"


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(number)


def written(value: Any) -> str:
    """A value as one would write it in the environment."""
    if isinstance(value, tuple):
        return ",".join(value)
    return _plain(value) if isinstance(value, (int, float)) else str(value)


def row(group: str, environment: str, flag: str, meaning: str, default: Any = MISSING, **columns: Any) -> Any:
    """A field of a dataclass of settings, with its row. "auto" has no value here: whoever makes one resolves it."""
    shown = AUTO if "automatic" in columns else "" if default is MISSING else written(default)
    required = default is MISSING and "automatic" not in columns
    columns.update(default=shown, required=required)
    return field(metadata={"row": Setting(environment, flag, group, meaning, **columns)}, default=default)
