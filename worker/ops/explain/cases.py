"""Partitions of which somebody asks why their commits stand still: which are meant, what only their processes know, and what
lets go of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

from kafka_worker.ops.explain.words import let_go, messages_wait
from kafka_worker.shared.configuration.words.place import Place
from kafka_worker.shared.ipc.health import Kind, no_topic
from kafka_worker.shared.ipc.snapshot import (
    Condition,
    HeadReport,
    OrderReport,
    PartitionReport,
    SlotReport,
    Snapshot,
    as_json,
    from_json,
)
from kafka_worker.shared.ipc.sums import reporting

MOST_NUMBERS = 16  # of partitions that are listed


@dataclass(frozen=True)
class Case:
    """A partition, and who has it."""

    slot: SlotReport
    partition: PartitionReport
    problems: List[str] = field(default_factory=list)  # of its slot, and what concerns its topic
    answer: Dict[str, Any] = field(default_factory=dict)  # what its process said when it was asked
    offset: Optional[int] = None  # that is asked about; None: the first that is not done
    orders: List[OrderReport] = field(default_factory=list)  # to park what is asked about, or anything of the partition

    @property
    def sought(self) -> Optional[HeadReport]:
        """The message that is asked about; None: nothing is known of it, or it is done."""
        head = self.partition.head
        return head if self.offset is None or (head and head.offset == self.offset) else self.answered

    @property
    def tells(self) -> bool:
        """Whether there is something to tell of it that is not said of any partition at rest."""
        partition, owed = self.partition, self.partition.watermark > self.partition.committed >= 0
        stands = partition.held or partition.stalled or partition.pause
        return bool(partition.head or stands or self.orders or self.offset is not None or owed or partition.lag > 0)

    @property
    def is_to_come(self) -> bool:
        """Whether the message that is asked about is not in the partition yet."""
        return self.offset is not None and 0 <= self.partition.end <= self.offset

    @property
    def answered(self) -> Optional[HeadReport]:
        """What its process says of the message that is asked about; None: it is done, or nothing is said."""
        found = self.answer.get("sought")
        return from_json(HeadReport, found) if found else None

    @property
    def question(self) -> Dict[str, Any]:
        """What to ask its process; nothing: there is nothing to ask."""
        if self.offset is None and self.partition.head is None:
            return {}
        named = {} if self.offset is None else {"offset": self.offset}
        return {"topic": self.partition.topic, "partition": self.partition.partition, **named}

    @property
    def let_go(self) -> List[str]:
        """What lets go of it, each in one line; nothing: it needs nothing."""
        if self.partition.stalled or self.sought is None or self.is_to_come:
            return []
        sought = self.sought
        alone = next((task["task_process"] for task in self.calls(sought.offset) if task.get("task_process")), 0)
        at, pid = f"{self.name}/{sought.offset}", alone or self.slot.pid
        lines = let_go(sought, alone=bool(alone))
        return [line.format(pid=pid, followers=messages_wait(sought.followers), place=at) for line in lines]

    @property
    def name(self) -> str:
        """How one types it."""
        return f"{self.partition.topic}/{self.partition.partition}"

    def calls(self, offset: int) -> List[Dict[str, Any]]:
        """What its process says of the calls with the message of this offset."""
        tasks, place = self.answer.get("tasks", []), (*self.partition.name, offset)
        return [task for task in tasks if (task["topic"], task["partition"], task["offset"]) == place]

    def as_json(self) -> Dict[str, Any]:
        """For programs."""
        sought = self.sought
        return {
            "slot": self.slot.slot,
            "pid": self.slot.pid,
            "heartbeat_age": self.slot.heartbeat_age,
            **as_json(self.partition),
            "offset": self.offset,
            "sought": as_json(sought) if sought else None,
            "tasks": self.answer.get("tasks", []),
            "error": self.answer.get("error", ""),  # why its process has not answered
            "let_go": self.let_go,
        }


def cases(snapshot: Snapshot, place: Place) -> List[Case]:
    """Those that are meant, in order, before their processes are asked."""
    found = [
        Case(
            slot,
            partition,
            [each.text for each in snapshot.conditions if _concerns(each, slot, place.topic)],
            offset=place.offset,
            orders=[
                each
                for each in snapshot.orders
                if (each.topic, each.partition) == partition.name
                and each.offset is not None
                and place.offset in (None, each.offset)
            ],
        )
        for slot in snapshot.slots
        if slot.child and slot.pid
        for partition in slot.child.partitions
        if partition.topic == place.topic and place.partition in (None, partition.partition)
    ]
    return sorted(found, key=lambda case: case.partition.partition)


def _concerns(condition: Condition, slot: SlotReport, topic: str) -> bool:
    """Whether it may be why something of this topic stands still there."""
    if condition.slot is not None:
        return condition.slot == slot.slot
    return condition.kind == Kind.SUPERVISOR.value or condition.text == no_topic(topic)


def owned(snapshot: Snapshot, place: Place) -> str:
    """What its processes have: partitions of that topic, or of which others."""
    here = [partition for child in reporting(snapshot.slots) for partition in child.partitions]
    numbers = sorted({each.partition for each in here if each.topic == place.topic})
    if numbers:
        more = f" and {len(numbers) - MOST_NUMBERS} more" if numbers[MOST_NUMBERS:] else ""
        return f"its processes here have these partitions of it: {', '.join(map(str, numbers[:MOST_NUMBERS]))}{more}"
    topics = sorted({each.topic for each in here})
    return f"its processes here have partitions of: {', '.join(topics)}" if topics else "its processes here have none"
