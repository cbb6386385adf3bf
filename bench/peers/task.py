"""The task that all sides do, and the marks by which the bench sees that it was done. Standard library only.

A message is a number. Its task waits, as a call to some other service does: for how long, `BENCH_TASK` says. What becomes of
each number stands in one shared file, mapped by all processes of a side and by the bench: nothing has to be sent, and what a
dead process did stays.
"""

from __future__ import annotations

import mmap
import os
import time
from typing import Any, Dict, NamedTuple, Type, TypeVar

AnyTask = TypeVar("AnyTask", bound="Task")

NOTHING = "nothing"  # the task that is only marked as done: for what a message costs


class Spec(NamedTuple):
    """How long tasks take, in milliseconds: from `low` to `high`, and one task `slow_ms`."""

    low: float
    high: float
    slow: int = -1  # the number of that one; -1: there is none
    slow_ms: float = 0.0

    def seconds(self, number: int) -> float:
        """How long the task of this number takes: as if by chance, and each time the same."""
        if number == self.slow:
            return self.slow_ms / 1000
        share = number * 2654435761 % 2**32 / 2**32  # Knuth's multiplicative hash
        return (self.low + share * (self.high - self.low)) / 1000

    @property
    def mean_ms(self) -> float:
        """Without the slow one."""
        return (self.low + self.high) / 2


def spec_of(text: str) -> Spec:
    """`5`, `0-5`, or `5+10000@77`: 5 ms, but number 77 takes 10 s."""
    usual, _, slow = text.partition("+")
    low, _, high = usual.partition("-")
    milliseconds, _, number = slow.partition("@")
    return Spec(float(low), float(high or low), int(number or -1), float(milliseconds or 0))


class Marks:
    """For each number: how often its task was begun, how often it was done, and when it was done last."""

    def __init__(self, path: str, messages: int) -> None:
        """Maps the file, which `create` has made."""
        rounded = -(-messages // 8) * 8
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 10 * rounded)
        view = memoryview(self._map)
        self.begun = view[:messages]
        self.done = view[rounded : rounded + messages]
        self.ended = view[2 * rounded :].cast("q")  # nanoseconds of the monotonic clock, which all processes share; 0: never

    @staticmethod
    def create(path: str, messages: int) -> Marks:
        """A new file, with nothing done."""
        with open(path, "wb") as file:
            file.truncate(10 * (-(-messages // 8) * 8))
        return Marks(path, messages)

    def count(self) -> int:
        """How many are done."""
        return len(self.done) - bytes(self.done).count(0)


class Task:
    """What is to be done with a decoded message."""

    def __init__(self, spec: str, marks: Marks) -> None:
        """`spec`: see `spec_of`, or NOTHING."""
        self.spec = spec
        self.marks = marks
        self._times = spec_of("0" if spec == NOTHING else spec)
        if spec == NOTHING:
            self.work = self._note  # type: ignore[method-assign]

    @classmethod
    def from_environment(cls: Type[AnyTask]) -> AnyTask:
        """As the bench wants it."""
        marks = Marks(os.environ["BENCH_MARKS"], int(os.environ["BENCH_MESSAGES"]))
        return cls(os.environ["BENCH_TASK"], marks)

    def work(self, message: Dict[str, Any]) -> None:
        """In a thread."""
        number = message["id"]
        seconds = self.begin(number)
        if seconds:
            time.sleep(seconds)
        self.end(number)

    def _note(self, message: Dict[str, Any]) -> None:
        self.marks.done[message["id"]] = 1

    def begin(self, number: int) -> float:
        """The mark, and how many seconds it takes."""
        self.marks.begun[number] = min(255, self.marks.begun[number] + 1)
        return self._times.seconds(number)

    def end(self, number: int) -> None:
        """The mark."""
        self.marks.ended[number] = time.monotonic_ns()
        self.marks.done[number] = min(255, self.marks.done[number] + 1)
