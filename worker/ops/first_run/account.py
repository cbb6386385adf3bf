"""What a first run knows of the service, and the account it gives at the end. Pure.

It counts the lines that `worker/examples/scenario.py` logs: the service's counters would be its own word for it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Dict, FrozenSet, List, Optional, Sequence, Set
from typing import Counter as CounterOf

_LINE = re.compile(
    r"\bslot-(?P<slot>\d+)(?P<apart>/[\w-]+)?\[(?P<pid>\d+)\] (?P<what>Processing|Finished processing) message: "
    r".*'scenario': (?P<scenario>\d+)"
)


@dataclass(frozen=True)
class Event:
    """A handler began or finished a scenario."""

    slot: int
    pid: int
    scenario: int
    finished: bool
    apart: bool = False  # in a task process: it was running when its process died


def read_line(line: str) -> Optional[Event]:
    """What a line of the service's log says of a scenario; None for every other line."""
    found = _LINE.search(line)
    if found is None:
        return None
    finished = found["what"].startswith("Finished")
    return Event(int(found["slot"]), int(found["pid"]), int(found["scenario"]), finished, bool(found["apart"]))


@dataclass(frozen=True)
class Crash:
    """The process that was killed, and what it had."""

    slot: int
    pid: int
    partitions: FrozenSet[int]
    running: int  # tasks
    at: float  # monotonic seconds


def victim(slots: Sequence[Dict[str, Any]], now: float) -> Optional[Crash]:
    """The process whose death interrupts most, from the slots of a snapshot; None while none works."""
    working = [slot for slot in slots if slot["pid"] and slot["child"] and slot["child"]["tasks"]]
    if not working:
        return None
    slot = max(working, key=lambda each: len(each["child"]["tasks"]))
    partitions = frozenset(each["partition"] for each in slot["child"]["partitions"])
    return Crash(slot["slot"], slot["pid"], partitions, len(slot["child"]["tasks"]), now)


class Account:
    """Counts scenarios, and remembers how long the crash was felt."""

    def __init__(self, partitions: Sequence[int]) -> None:
        """Scenario number `n` was sent to `partitions[n]`."""
        self._partitions = partitions
        self._begun: CounterOf[int] = Counter()
        self._finished: Set[int] = set()
        self._workers: Set[int] = set()  # process ids
        self.crash: Optional[Crash] = None
        self.successor: Optional[int] = None  # process id of the first to work in the killed one's slot
        self.slot_back: Optional[float] = None  # seconds from the crash until the successor worked
        self.partitions_back: Optional[float] = None  # until anybody worked on the killed one's partitions

    @property
    def sent(self) -> int:
        """Scenarios sent."""
        return len(self._partitions)

    @property
    def done(self) -> int:
        """Scenarios finished at least once."""
        return len(self._finished)

    @property
    def lost(self) -> int:
        """Scenarios sent, and not finished (yet)."""
        return self.sent - self.done

    @property
    def twice(self) -> int:
        """Scenarios begun more than once."""
        return sum(1 for count in self._begun.values() if count > 1)

    def note(self, event: Event, now: float) -> None:
        """Count one line of the log, read at `now`."""
        if not event.apart:
            self._workers.add(event.pid)
        if event.finished:
            self._finished.add(event.scenario)
            return
        self._begun[event.scenario] += 1
        # What the killed process wrote before its death may still be on its way to us.
        if self.crash and event.pid != self.crash.pid and not event.apart:
            self._note_return(event, now - self.crash.at, self.crash)

    def _note_return(self, event: Event, seconds: float, crash: Crash) -> None:
        if self.slot_back is None and event.slot == crash.slot:
            self.slot_back, self.successor = seconds, event.pid
        if self.partitions_back is None and self._partitions[event.scenario] in crash.partitions:
            self.partitions_back = seconds

    def lines(self, *, complete: bool) -> List[str]:
        """The account, for people. Of a run that was cut short, what is missing is not lost."""
        workers = f"different scenarios, by {len(self._workers)} processes"
        return [
            f"sent      {self.sent:>4}   acknowledged by the broker before the service started",
            f"done      {self.done:>4}   {workers}",
            f"{'lost' if complete else 'to do':<10}{self.lost:>4}",
            f"run twice {self.twice:>4}   {self._why_twice()}",
            *self._crash_lines(),
        ]

    def _why_twice(self) -> str:
        if self.crash is None:
            return "the promise is: at least once"
        return (
            f"what the killed process was running ({self.crash.running}) or had not committed yet; "
            f"the promise is: at least once"
        )

    def _crash_lines(self) -> List[str]:
        if self.crash is None:
            return []
        return [
            f"killed: process {self.crash.pid} of slot {self.crash.slot}",
            f"    work on its partitions went on after {_seconds(self.partitions_back)}",
            f"    its slot worked again after {_seconds(self.slot_back)} (process {self.successor or '-'})",
            "    These times are the embedded broker's. A real Kafka with static membership: see README.md",
        ]


def _seconds(seconds: Optional[float]) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"
