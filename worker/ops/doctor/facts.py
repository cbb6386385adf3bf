"""What the checks are made on. Plain data: gathered in command.py, gathering.py and registry.py, judged in checks.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import FrozenSet, Mapping, NamedTuple, Optional, Sequence

from kafka_worker.ops.lag.rows import Member
from kafka_worker.shared.settings import Settings

UNKNOWN = -1.0
UNFRAMED = -1  # in the place of a schema's id: the message names none
NO_REGISTRY = -1  # in the place of an HTTP status: it was one that no registry gives


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
    shut: Sequence[int] = ()  # partitions that take no message: fewer copies are in sync than min.insync.replicas


class Refusal(NamedTuple):
    """A broker's."""

    name: str  # of the error
    text: str


class Told(NamedTuple):
    """What the schema registry says of a topic."""

    topic: str
    decoder: str  # that the topic has
    about: str  # what it was asked about, in words; empty: the last message names no schema
    schema: int = 0  # that one, if it was a schema of a message
    kind: str = ""  # of the schema, as the registry says
    status: int = 0  # of the answer, by HTTP; 0: none came
    code: int = 0  # the registry's own word for what is wrong
    text: str = ""  # that, in words


@dataclass(frozen=True)
class Kafka:
    """What the cluster has said."""

    brokers: int = 0
    silent: Sequence[str] = ()  # of these: those that do not answer, with their addresses
    away: str = ""  # why nobody answers; empty: somebody did
    refused: str = ""  # why a broker and we do not believe each other
    consumed: Mapping[str, Topic] = field(default_factory=dict)  # by name, retry topics too
    letters: Mapping[str, Topic] = field(default_factory=dict)  # where dead letters go
    schemas: Mapping[str, int] = field(default_factory=dict)  # that the last messages name, by topic
    no_token: bool = False  # nobody answers, because we have none to sign in with
    no_producer: str = ""  # why ours is not taken in, where it signs in by properties of its own
    no_transactions: Optional[Refusal] = None  # why none can begin; None: they can, or are not wanted
    group_refused: str = ""  # why we may not commit
    coordinator_away: bool = False  # because the broker that has the group does not answer
    members: Optional[Sequence[Member]] = None  # of the group, now; None: that may not be asked
    strategy: str = ""  # by which they share partitions out; empty: there are none, or it is not told
    of_group: Optional[FrozenSet[str]] = None  # what we may do with it, in Kafka's words; None: that was not told
    properties: Mapping[str, str] = field(default_factory=dict)  # of the brokers; empty: they may not be asked


@dataclass(frozen=True)
class Facts:
    """All that is looked at."""

    settings: Settings
    now: float  # seconds since 1970
    faults: Sequence[str] = ()  # of the configuration
    lacking: Sequence[str] = ()  # what settings need and this machine has not
    unusable: Sequence[str] = ()  # why handler or client can't be used
    doubtful: Sequence[str] = ()  # what names nothing that is there when handlers are imported
    unwritable: Sequence[str] = ()  # why folders of ours can't be used
    memory: int = 0  # bytes that this machine, or its container, has; 0: not known
    runs_here: bool = False  # the service
    untold: str = ""  # why that can't be told
    addresses: FrozenSet[str] = frozenset()  # of this machine
    fenced: FrozenSet[int] = frozenset()  # slots of it whose process has gone because another member had its id
    versions: str = ""
    registry: Optional[Sequence[Told]] = ()  # of the topics that it is asked about; None: it can't be asked
    kafka: Kafka = field(default_factory=Kafka)
