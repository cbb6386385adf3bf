"""How far a group is, partition by partition. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from kafka_worker.kafka.properties import LATEST
from kafka_worker.shared.ipc.snapshot import TopicPartition

UNKNOWN = -1
MUCH, MANY_PARTITIONS = 100, 2  # with fewer messages, or partitions, it may be chance that they are not spread evenly


class Member(NamedTuple):
    """One of a group."""

    name: str  # its client id
    instance: str  # its group.instance.id; empty: it has none
    address: str
    partitions: Tuple[TopicPartition, ...]


class Offsets(NamedTuple):
    """What Kafka knows of the partitions. What could not be told is missing."""

    committed: Mapping[TopicPartition, int]  # of all that are asked for; UNKNOWN: nothing is committed
    beginnings: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]


@dataclass(frozen=True)
class Row:
    """One partition. -1: not known."""

    topic: str
    partition: int
    committed: int  # -1: nothing yet
    end: int
    lag: int  # messages from where the group goes on to the end; markers of transactions count, as for Kafka's own tool
    lag_seconds: float  # since when the first of them should be done; 0: there is none, or it is not due
    member: str  # who has the partition; empty: nobody
    address: str
    gone: int = 0  # messages, at most: below the first that is there, and not committed


def first_undone(offsets: Offsets, reset: str) -> Dict[TopicPartition, int]:
    """Where the group goes on: at what it has committed, else where auto.offset.reset (`reset`) sends it. Without the places
    of which that can't be told."""
    found = {}
    for place, committed in offsets.committed.items():
        first = offsets.beginnings.get(place, UNKNOWN)
        at = committed if committed != UNKNOWN else offsets.ends.get(place, UNKNOWN) if reset in LATEST else first
        if at != UNKNOWN:
            found[place] = max(at, first)  # what retention has taken is behind nobody
    return found


def rows(
    offsets: Offsets,
    undone: Mapping[TopicPartition, int],
    due: Mapping[TopicPartition, Optional[float]],
    members: Iterable[Member],
    now: float,
) -> List[Row]:
    """One a partition, by topic and number. `undone`: where the group goes on; `due`: since when the first message from there
    on should be done, in seconds since 1970, as is `now` (None: there is no message)."""
    owners = {place: (member.name, member.address) for member in members for place in member.partitions}
    return [
        Row(
            *place,
            committed,
            offsets.ends.get(place, UNKNOWN),
            _lag(undone.get(place), offsets.ends.get(place)),
            _seconds(place, due, now),
            *owners.get(place, ("", "")),
            max(0, offsets.beginnings.get(place, UNKNOWN) - committed) if committed != UNKNOWN else 0,
        )
        for place, committed in sorted(offsets.committed.items())
    ]


def _lag(undone: Optional[int], end: Optional[int]) -> int:
    return UNKNOWN if undone is None or end is None else max(0, end - undone)


def _seconds(place: TopicPartition, due: Mapping[TopicPartition, Optional[float]], now: float) -> float:
    if place not in due:
        return UNKNOWN
    at = due[place]
    return 0.0 if at is None else max(0.0, now - at)  # a producer's clock may be ahead of ours


def total(found: Iterable[Row]) -> int:
    """Messages that the group has before it, as far as they are known."""
    return sum(max(0, row.lag) for row in found)


def uneven(found: Sequence[Row]) -> Optional[Row]:
    """The partition that has more than half of what is to do, although there are others; None: no such one."""
    most = max(found, key=lambda row: row.lag, default=None)
    whole = total(found)
    return most if most and len(found) > MANY_PARTITIONS and whole >= MUCH and 2 * most.lag > whole else None


def oldest(found: Iterable[Row]) -> float:
    """For how many seconds the oldest of them waits."""
    return max([row.lag_seconds for row in found], default=0.0)
