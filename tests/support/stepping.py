"""Two threads at one point, without threads: what one of them does is put between two instructions of the other, at each place
in turn. Between any two instructions the interpreter may change threads, and at no other point, so nothing is left out."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, Callable, Iterator, Tuple, TypeVar

T = TypeVar("T")


def at_each_instruction(make: Callable[[], Tuple[Callable[[], T], Callable[[], Any]]]) -> Iterator[T]:
    """What `look()` returns if `move()` comes before its first instruction, its second, and so on to its last. `make` gives a
    fresh pair of both each time."""
    # From Python 3.13 on code tells of its instructions from its second run on.
    _Step(sys.maxsize, lambda: None).during(make()[0])
    place = 0
    while True:
        look, move = make()
        step = _Step(place, move)
        result = step.during(look)
        if not step.made:
            return
        yield result
        place += 1


class _Step:
    """One run, with the move at one place."""

    def __init__(self, place: int, move: Callable[[], Any]) -> None:
        self._left = place
        self._move = move
        # One object all the time: the interpreter calls it without holding it, and a bound method is made anew each time.
        self._of_frame = self._trace
        self.made = False

    def during(self, look: Callable[[], T]) -> T:
        before = sys.gettrace()
        sys._getframe().f_trace_opcodes = True  # Python 3.12 and later looks only now whether anybody wants instructions
        sys.settrace(self._of_frame)
        try:
            return look()
        finally:
            sys.settrace(before)

    def _trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode":
            self._left -= 1
            if self._left < 0 and not self.made:
                self.made = True
                self._move()  # which nobody traces: within a trace function the interpreter does not
                if sys.version_info < (3, 12):  # later ones would forget whose instructions they tell of
                    sys.settrace(None)  # what comes behind it takes longer to be told of than to be run
        return self._of_frame
