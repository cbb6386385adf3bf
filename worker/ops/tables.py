"""How commands show things to a person: tables, and how long something is. Pure."""

from __future__ import annotations

from typing import Any, Callable, Iterable, List, Optional, Tuple

from kafka_worker.shared.foreign.texts import escaped

SECONDS_A_MINUTE = 60

#: A table: the heading of each column, and how it is read from what a line is about.
Columns = Tuple[Tuple[str, Callable[[Any], str]], ...]


def table(columns: Columns, rows: Iterable[Any]) -> List[str]:
    """Its lines, as wide as what stands in them."""
    cells = [[heading for heading, _ in columns], *([read(row) for _, read in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]


def safe(text: str) -> str:
    """Keys, names and errors are written by strangers, and a terminal obeys what it is sent."""
    return "\n".join(map(escaped, text.split("\n")))


def key_of(shown: Optional[str]) -> str:
    """Of a message, as it can be shown: one that is empty is a key, too, whose messages run in their order."""
    return "-" if shown is None else shown or '""'


def in_brackets(text: str) -> str:
    """Behind something; nothing, where there is no text."""
    return f" ({text})" if text else ""


def duration(seconds: float) -> str:
    """Seconds, in the unit that fits."""
    if seconds < SECONDS_A_MINUTE:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), SECONDS_A_MINUTE)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"
