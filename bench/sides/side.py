"""What a side is, and what is wanted of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Callable, Dict, List, NamedTuple, Protocol

from bench.topics import Shape


@dataclass(frozen=True)
class Setting:
    """What a side is to do, and where."""

    bootstrap: str
    topic: str
    group: str
    marks: str  # the path of the file
    shape: Shape
    task: str  # see bench/peers/task.py
    processes: int = 1
    threads: int = 16
    apart: bool = False  # all processes must be processes, though one of many threads might do
    ours: Dict[str, str] = field(default_factory=dict)  # further settings of this service

    @property
    def consumers(self) -> int:
        """Of each process, where each consumer does one task at a time: more than there are partitions would be idle."""
        return max(1, min(self.threads, self.shape.partitions // self.processes))

    def environment(self) -> Dict[str, str]:
        """As the task, and the peers, read it."""
        return {
            "BENCH_BOOTSTRAP": self.bootstrap, "BENCH_TOPIC": self.topic, "BENCH_GROUP": self.group,
            "BENCH_MARKS": self.marks, "BENCH_MESSAGES": str(self.shape.messages), "BENCH_TASK": self.task,
            "BENCH_PROCESSES": str(self.processes), "BENCH_CONSUMERS": str(self.consumers), "BENCH_THREADS": str(self.threads),
        }  # fmt: skip

    def with_threads(self, threads: int) -> Setting:
        """The same with another number of them."""
        return replace(self, threads=threads)


class Running(Protocol):
    """A side at work."""

    members: int  # how many of the group it is when it is complete, at least
    can_roll: bool

    def processes(self) -> List[int]:
        """All of its processes."""

    def workers(self) -> List[int]:
        """Those that do tasks."""

    def roll(self, complete: Callable[[], Any]) -> None:
        """Replace all workers, one after the other, as one would to bring new code. `complete` returns when the group is."""

    def complaint(self) -> str:
        """The last of what it wrote, if it ended; otherwise nothing."""

    def close(self) -> None:
        """End it at once."""


class Side(NamedTuple):
    """One of those that are compared."""

    name: str
    title: str
    form: str  # what of it runs
    promise: str
    start: Callable[[Setting], Running]
    versions: Callable[[], Dict[str, str]]
    peer: bool = True
