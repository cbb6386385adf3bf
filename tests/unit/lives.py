"""Lives of processes with one partition, for tests of what is known after a death."""

from __future__ import annotations

from typing import Dict, Optional, Set, Tuple

import pytest

from kafka_worker.partitions import intake
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.queues import FirstComeFirstServed
from kafka_worker.partitions.stored import UNKNOWN, Home
from kafka_worker.partitions.task import Task
from kafka_worker.partitions.tracker import RUNNING
from kafka_worker.recovery import journal
from kafka_worker.recovery.journal import Journal
from kafka_worker.recovery.recovery import Recovery
from tests.unit.fakes import Message


def small_journals(patch: pytest.MonkeyPatch, records: int, scarce: int) -> None:
    """A file of a megabyte for each process would be most of the time that these tests take."""
    patch.setattr(journal, "RECORDS", records)
    patch.setattr(journal, "SCARCE", scarce)
    patch.setattr(journal, "_SIZE", 128 + records * journal._RECORD)


class Life:
    """One assignment of one partition, in a process of its own unless another's is given: gets it, is delivered messages,
    finishes some, commits or not, and dies."""

    def __init__(
        self,
        path: Optional[str],
        committed: int,
        metadata: Optional[str],
        *,
        use_map: bool = True,
        of: Optional[Life] = None,
        home: Home = UNKNOWN,
    ) -> None:
        notes = Journal(path) if path else None
        self.busy: Set[Partition] = of.busy if of else set()  # of which something runs
        self.recovery: Recovery = of.recovery if of else Recovery(notes, use_map=use_map, busy=self.busy.__contains__)
        self.partition = Partition("topic", 0, FirstComeFirstServed, self.recovery.memory)
        self.valid = self.recovery.restore(self.partition, committed, metadata, home)
        self.next = max(0, self.partition.stored.committed)
        self.open: Dict[int, Task] = {}

    def deliver(self, count: int) -> Set[int]:
        """The offsets that are to be run."""
        batch = [Message(offset) for offset in range(self.next, self.next + count)]
        self.next += count
        tasks = {task[0]: task for task in intake.tasks(self.partition, batch, None)}
        self.open.update(tasks)
        return set(tasks)

    def finish(self, *offsets: int) -> None:
        for offset in offsets:
            self.open.pop(offset)[1].complete(offset)

    def run(self, offset: int) -> None:
        segment = self.open[offset][1]
        segment.flags[offset + segment.shift] = RUNNING
        self.busy.add(self.partition)

    def send(self) -> Tuple[int, str]:
        """A commit, of which no answer has come yet."""
        target = max(self.partition.stored.committed, self.partition.target(-1001))
        return target, self.recovery.metadata(self.partition, target)

    def answered(self, target: int, text: str) -> None:
        self.partition.stored.sent(target, text)
        self.partition.stored.acknowledged(target)
        self.recovery.acknowledged(self.partition, target)

    def commit(self) -> Tuple[int, str]:
        place = self.send()
        self.answered(*place)
        return place


NOTHING: Tuple[int, Optional[str]] = (-1001, None)  # is committed
