"""What processes say, put together for the snapshot: each partition once, and the sums, so that whoever looks at it need not
reckon. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Dict, Iterable, List, Set, Tuple

from kafka_worker.shared.ipc.snapshot import ChildReport, PartitionReport, SlotReport, TopicPartition, Totals, WorkCount


def reporting(slots: Iterable[SlotReport]) -> List[ChildReport]:
    """The processes that are there. What a dead one has said last is out of date, but for the work that it has done."""
    return [slot.child for slot in slots if slot.child and slot.pid]


def each_partition_once(slots: List[SlotReport]) -> List[SlotReport]:
    """One that moves is told by two processes for a moment: it is the one's whose commit is the higher one."""
    owners: Dict[Tuple[str, int], Tuple[int, int]] = {}  # the committed offset, and the place of the slot
    for place, slot in enumerate(slots):
        for partition in slot.child.partitions if slot.child and slot.pid else ():
            owners[partition.name] = max(owners.get(partition.name, (-2, 0)), (partition.committed, place))

    def is_its(partition: PartitionReport, place: int) -> bool:
        return owners[partition.name][1] == place

    found = []
    for place, slot in enumerate(slots):
        child = slot.child
        if child and slot.pid and not all(is_its(partition, place) for partition in child.partitions):
            child = child._replace(partitions=[each for each in child.partitions if is_its(each, place)])
            slot = slot._replace(child=child)  # noqa: PLW2901
        found.append(slot)
    return found


def utilization(slots: Iterable[SlotReport]) -> float:
    """Of all processes together; -1: none has said what it could do."""
    children = reporting(slots)
    capacity = sum(child.capacity for child in children)
    return sum(child.busy for child in children) / capacity if capacity else -1.0


def _left_alone(slots: Iterable[SlotReport], had: Iterable[PartitionReport]) -> Set[TopicPartition]:
    """Partitions of dead processes that are to be replaced: of these nothing is known. `had`: those that others have."""
    waiting = [slot.child for slot in slots if slot.child and not slot.pid and slot.restart_in >= 0]
    theirs = {partition.name for child in waiting for partition in child.partitions}
    return theirs - {partition.name for partition in had}


def totals(slots: Iterable[SlotReport], work: Iterable[WorkCount]) -> Totals:
    """The sums over all processes that are there, and of the work of all that ever were."""
    slots = list(slots)
    children = reporting(slots)
    partitions = [partition for child in children for partition in child.partitions]
    done: Counter[Tuple[str, str]] = Counter()
    for each in work:
        done[each.what, each.kind] += int(each.count)
    return Totals(
        running=sum(1 for slot in slots if slot.state == "running"),
        partitions=len(partitions),
        lag=sum(max(0, partition.lag) for partition in partitions),
        lag_unknown=sum(partition.lag < 0 for partition in partitions) + len(_left_alone(slots, partitions)),
        lag_seconds=max([partition.lag_seconds for partition in partitions], default=-1.0),
        in_flight=sum(partition.in_flight for partition in partitions),
        done=done["tasks", "done"],
        failed=sum(count for (what, _), count in done.items() if what == "attempts_failed"),
        dead_letters=done["tasks", "dead_letter"] + done["tasks", "parked"],  # those of operators are in that topic, too
        rate=sum(child.rate for child in children),
        retrying=sum(child.retrying for child in children),
        dead_letters_waiting=sum(child.dead_letters_waiting for child in children),
        suspects=sum(child.suspects for child in children),
    )
