"""Work that was done, counted: by a process for itself, and by the supervisor for all processes that ever were. Pure.

A counter that is read from processes which come and go must not go backward when one goes: whoever watches would take that for
a restart of everything, and be told the whole count as new.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, Set, Tuple

from kafka_worker.shared.ipc.snapshot import WorkCount

MOST_KINDS = 20  # that are told apart of one sort of work: classes of errors are the user's, and may be any number
OTHER = "other"

Key = Tuple[str, str, str]  # what, topic, kind


class Work:
    """Counts, by what was done, to messages of which topic, and of which kind it was. They only grow."""

    def __init__(self) -> None:
        """Nothing has been done yet."""
        self._counts: Dict[Key, float] = {}
        self._kinds: Dict[str, Set[str]] = {}  # the first ones, by what was done

    def add(self, what: str, topic: str, kind: str, count: float = 1) -> None:
        """So much more was done."""
        kinds = self._kinds.setdefault(what, set())
        if len(kinds) < MOST_KINDS:
            kinds.add(kind)
        key = what, topic, kind if kind in kinds else OTHER
        self._counts[key] = self._counts.get(key, 0) + count

    def counts(self) -> List[WorkCount]:
        """All of them."""
        return [WorkCount(*key, count) for key, count in self._counts.items()]


class WorkOfAll:
    """The sum over processes: what one of them has told last counts for ever."""

    def __init__(self) -> None:
        """No process has told anything yet."""
        self._sum = Work()
        self._heard: Dict[int, Dict[Key, float]] = {}  # the most that each process has told, by its pid

    def hear(self, pid: int, counts: Iterable[WorkCount]) -> None:
        """What a process has done since it began."""
        heard = self._heard.setdefault(pid, {})
        for what, topic, kind, count in ((each.what, each.topic, each.kind, each.count) for each in counts):
            grown = count - heard.get((what, topic, kind), 0)
            if grown > 0:
                heard[what, topic, kind] = count
                self._sum.add(what, topic, kind, grown)

    def end(self, pid: int) -> None:
        """The process is gone; the next one of this number begins anew."""
        self._heard.pop(pid, None)

    def counts(self) -> List[WorkCount]:
        """The sums."""
        return self._sum.counts()
