"""Whose turn it is: the queues of a pool one after the other, how often those of a topic are looked into (PRIORITY), and how
many calls for it may run at once (THREADS_SHARE). All of it is decided once per turn of a queue, not for each message."""

from __future__ import annotations

import threading
from itertools import compress, islice
from typing import Dict, Iterable, Iterator, List, Optional, Tuple

from kafka_worker.partitions.queues import Queue
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.topic_settings import ByTopic


class Served:
    """The queues that a pool serves, in their order. Any thread."""

    __slots__ = ("_tasks", "around", "queues")

    def __init__(self, queues: Tuple[Queue, ...] = ()) -> None:
        """Another order, or other queues, are another object."""
        self.queues = queues
        self.around = max(1, len(queues))  # turns
        self._tasks = tuple([queue.tasks for queue in queues]) * 2

    def filled(self, turn: int) -> Iterator[int]:
        """The turns of those that have something, once around from behind this turn. One that has nothing costs no Python
        instruction: of a thousand partitions most are empty, and each thread that looks for a task passes them all."""
        first = turn % self.around + 1
        behind = first + self.around
        return compress(range(first, behind), islice(self._tasks, first, behind))

    def queue(self, turn: int) -> Queue:
        """Whose turn that is."""
        return self.queues[turn % self.around]


class Share:
    """The room for calls for one topic. Any thread."""

    def __init__(self, share: float) -> None:
        """Nobody is in."""
        self._share = share
        self._inside = 0
        self._turned_away = False  # somebody was, since the last `leave`
        self._lock = threading.Lock()

    def enter(self, capacity: int) -> bool:
        """Enter if there is room; whether there was. `capacity`: how many calls of all topics there may be."""
        with self._lock:
            if self.is_full(capacity):
                self._turned_away = True
                return False
            self._inside += 1
            return True

    def leave(self, capacity: int, *, served: bool = True) -> bool:
        """One less; whether others may be waiting for that. One that has `served` nothing (no task, or no permit) wakes only
        those it has kept out itself: else each would wake the next, as long as there is a task without a permit."""
        with self._lock:
            was_full, was_away = self.is_full(capacity), self._turned_away
            self._inside -= 1
            self._turned_away = False
            return was_full if served else was_away

    def is_full(self, capacity: int) -> bool:
        """Whether nobody else may enter. There is always room for one."""
        return self._inside >= max(1, round(self._share * capacity))


class Turns:
    """Those of one pool."""

    def __init__(self, settings: Settings) -> None:
        """Whose queues there are is not known yet."""
        self._own = ByTopic(settings.of, lambda own: own)
        self._shares: Dict[str, Share] = {}  # by table or topic: topics of one table have one share together

    def order(self, queues: Iterable[Queue]) -> Tuple[Queue, ...]:
        """The queues, each as often as its topic's priority says, and evenly spread."""
        spread: List[Tuple[float, int, Queue]] = []
        for number, queue in enumerate(queues):
            turns = self._own[queue.topic].priority
            spread += [((turn + 0.5) / turns, number, queue) for turn in range(turns)]
        return tuple(queue for _, _, queue in sorted(spread, key=lambda each: each[:2]))

    def shares(self, queues: Iterable[Queue]) -> Dict[str, Share]:
        """By topic, for those that may not have all."""
        found = {queue.topic: self._share(queue.topic) for queue in queues}
        return {topic: share for topic, share in found.items() if share is not None}

    def _share(self, topic: str) -> Optional[Share]:
        own = self._own[topic]
        return None if own.threads_share >= 1 else self._shares.setdefault(own.table or topic, Share(own.threads_share))


def of_settings(settings: Settings) -> Optional[Turns]:
    """None: all topics are alike, and each may have all threads."""
    alike = len({own.priority for own in settings.each()}) == 1 and all(own.threads_share >= 1 for own in settings.each())
    return None if alike else Turns(settings)
