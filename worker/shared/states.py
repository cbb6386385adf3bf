"""One shape for whatever has states: an enum, a table TRANSITIONS of the moves that there are, and one who moves. Pure."""

from __future__ import annotations

from enum import Enum
from typing import Any, Callable, FrozenSet, Generic, Mapping, TypeVar

State = TypeVar("State", bound=Enum)


class StateMachine(Generic[State]):
    """The state of one thing. A move that the table does not know is refused, and changes nothing."""

    def __init__(
        self, name: str, transitions: Mapping[State, FrozenSet[State]], note: Callable[[str], Any] = lambda _move: None
    ) -> None:
        """In the table's first state. `name` is for the error; `note` is told of each move, in words."""
        self.now: State = next(iter(transitions))
        self._name = name
        self._transitions = transitions
        self._note = note

    def move(self, to: State) -> None:
        """Go to this state. Raises ValueError for a move that the table does not know."""
        if to not in self._transitions[self.now]:
            raise ValueError(f"{self._name} can't go from {self.now.value} to {to.value}")
        self._note(f"{self.now.value} -> {to.value}")
        self.now = to
