"""Flags that stand behind some commands only. Pure."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Tuple

WHERE = "(the command line)"


class Flag(NamedTuple):
    """One of them."""

    word: str
    value: str  # what stands behind it; empty: nothing, it is a switch
    meaning: str
    goes_with: Tuple[str, ...]  # commands, or what is done by one, where it may stand

    @property
    def name(self) -> str:
        """The field in which an argument parser leaves it."""
        return "flag_" + self.word.strip("-").replace("-", "_")

    @property
    def way(self) -> Dict[str, Any]:
        """How an argument parser reads it."""
        return {"metavar": self.value} if self.value else {"action": "store_true"}


def astray(flags: Iterable[Flag], given: Mapping[str, Any], goes_with: str = "") -> List[str]:
    """The faults of those of these flags that are given, where they may not stand."""
    return [
        f"{flag.word} {WHERE} goes with {goes_with or ' and '.join(flag.goes_with)} only. Leave it out."
        for flag in flags
        if flag.name in given
    ]
