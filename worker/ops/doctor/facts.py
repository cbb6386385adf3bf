"""What the checks are made on. Plain data: it is gathered in cluster.py and command.py, and judged in checks.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import FrozenSet, Mapping, Optional, Sequence

from kafka_worker.ops.lag.rows import Member
from kafka_worker.shared.settings import Settings

UNKNOWN = -1.0


@dataclass(frozen=True)
class Topic:
    """A topic that the service reads or writes."""

    partitions: int  # 0: there is none, or it may not be seen
    operations: Optional[FrozenSet[str]] = None  # what we may do with it, in Kafka's words; None: that was not told
    properties: Mapping[str, str] = field(default_factory=dict)  # its configuration; empty: that may not be asked
    newest: float = UNKNOWN  # the highest timestamp of its messages, in seconds since 1970
    backward: float = 0.0  # seconds by which the last message of one of its partitions says it is older than one before it
    leaderless: Sequence[int] = ()  # partitions that no broker serves
    thin: Sequence[int] = ()  # partitions of which copies are missing, or behind


@dataclass(frozen=True)
class Kafka:
    """What the cluster has said."""

    brokers: int = 0
    away: str = ""  # why nobody answers; empty: somebody did
    refused: str = ""  # why a broker and we do not believe each other
    consumed: Mapping[str, Topic] = field(default_factory=dict)  # by name, retry topics too
    letters: Mapping[str, Topic] = field(default_factory=dict)  # where dead letters go
    group_refused: str = ""  # why we may not commit
    members: Optional[Sequence[Member]] = None  # of the group, now; None: that may not be asked
    properties: Mapping[str, str] = field(default_factory=dict)  # of the brokers; empty: they may not be asked


@dataclass(frozen=True)
class Facts:
    """All that is looked at."""

    settings: Settings
    now: float  # seconds since 1970
    faults: Sequence[str] = ()  # of the configuration
    unusable: Sequence[str] = ()  # why handler or client can't be used
    unwritable: Sequence[str] = ()  # folders of ours
    memory: int = 0  # bytes that this machine, or its container, has; 0: not known
    runs_here: bool = False  # the service
    fenced: FrozenSet[int] = frozenset()  # slots of it whose process has gone because another member had its id
    versions: str = ""
    kafka: Kafka = field(default_factory=Kafka)
