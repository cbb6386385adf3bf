"""Results that are kept: one JSON line for each measurement, so that a table can be measured in parts, and what was measured
before an end by force is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

Key = Tuple[str, str, str]  # row, cell, side


class Record(NamedTuple):
    """One measurement."""

    row: str
    cell: str
    side: str
    values: Dict[str, float]
    others: float = 0.0  # cores that others used meanwhile
    tries: int = 1
    quiet: bool = True
    fault: str = ""  # why there are no values
    at: str = ""
    commit: str = ""  # of this service

    @property
    def key(self) -> Key:
        """What was measured."""
        return self.row, self.cell, self.side


class Kept:
    """The file of them."""

    def __init__(self, path: Path) -> None:
        """It need not be there. A line that an end by force has cut off is dropped."""
        self._path = path
        text = path.read_text() if path.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            path.write_text(whole)
        self.records: List[Record] = [Record(**json.loads(line)) for line in whole.splitlines()]

    def add(self, record: Record) -> None:
        """Keep one more."""
        self.records.append(record)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path, "a") as file:
            file.write(json.dumps(record._asdict()) + "\n")

    def forget(self, wanted: Callable[[Record], Any]) -> None:
        """Keep those no more."""
        self.records = [record for record in self.records if not wanted(record)]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text("".join(json.dumps(record._asdict()) + "\n" for record in self.records))

    def rounds(self, key: Key) -> int:
        """How often this was measured, faults included."""
        return sum(record.key == key for record in self.records)
