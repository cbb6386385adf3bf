"""What is on the other side of the network: topics, what a group has committed of them, and its other members."""

from __future__ import annotations

import json
import random
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from confluent_kafka import KafkaError

from kafka_worker.outcomes.retry_topics import DelayedMessage
from kafka_worker.partitions.stored import UNKNOWN, Home
from kafka_worker.recovery.offset_map import decode, encode
from tests.simulation.oracle import HOLE, MARKER, Id, Oracle, TopicPartition

TOPIC, OTHER, RESULTS = "topic", "other", "results"
PARTITIONS = {TOPIC: 2, OTHER: 1}
DELAYS = ("5s", "30s")  # of retry topics
RETRIES = 1  # partitions of each
KEYS = (b"a", b"b", b"c")
NOTHING = -1001


Headers = List[Tuple[str, Any]]


class Topics(NamedTuple):
    """What is there."""

    names: Tuple[str, ...] = (TOPIC,)
    delays: Tuple[str, ...] = ()  # of their retry topics

    def partitions(self) -> List[TopicPartition]:
        """Those that messages are produced to."""
        return [(topic, number) for topic in self.names for number in range(PARTITIONS[topic])]

    def retries(self) -> List[TopicPartition]:
        """Those of the retry topics."""
        topics = [f"{topic}.retry.{delay}" for topic in self.names for delay in self.delays]
        return [(topic, number) for topic in topics for number in range(RETRIES)]


class Message:
    """Answers like one of the client's, and knows its epoch."""

    def __init__(self, identity: Id, key: bytes, headers: Headers) -> None:
        self.id = identity
        self._key = key
        self._headers = headers

    def topic(self) -> str:
        return self.id.name[0]

    def partition(self) -> int:
        return self.id.name[1]

    def offset(self) -> int:
        return self.id.offset

    def key(self) -> bytes:
        return self._key

    def value(self) -> bytes:
        return as_value(self.id)

    def headers(self) -> Headers:
        return self._headers

    def timestamp(self) -> Tuple[int, int]:
        return 1, 1500

    def error(self) -> None:
        return None

    def __len__(self) -> int:
        return 50


def identity(message: Any) -> Id:
    """Which one it is."""
    found: Id = (message._message if isinstance(message, DelayedMessage) else message).id
    return found


def as_value(identity: Id) -> bytes:
    """In the value, so that a record that is produced on behalf of a message says so."""
    return json.dumps([*identity.name, identity.epoch, identity.offset]).encode()


def of_value(value: bytes) -> Id:
    """The reverse."""
    topic, number, epoch, offset = json.loads(value)
    return Id((topic, number), epoch, offset)


class Broker:
    """The cluster. It outlives every process."""

    def __init__(self, chance: random.Random, oracle: Oracle, topics: Topics) -> None:
        self.chance = chance
        self.oracle = oracle
        self.topics = topics
        self.away_until = self.down_until = 0.0  # when it answers again; when what handlers need is there again
        self._refuses: Dict[str, Tuple[float, int]] = {}  # by how a topic's name ends: until when, and how
        self.headers: Dict[Id, Headers] = {}
        self.group: Dict[TopicPartition, Tuple[int, str]] = {}
        self.since: Dict[TopicPartition, float] = {}  # of a partition that is the child's: since when commits of it go through
        self.assignments: Dict[TopicPartition, int] = {}  # how often it was given away
        self._others = 0
        self.tells_ids = chance.random() < 0.5  # old ones do not
        self.pending: Set[TopicPartition] = set()  # of which a transaction has offsets, and is not over
        self.silence = chance.choice([0.0, 0.0, 0.5])  # of how many questions it does not answer in time
        self._made = 0  # topics of this name before
        # Of a topic that is compacted, or written to by transactions, each offset may be one of these.
        self._kinds = chance.choice([KEYS, KEYS, (*KEYS, HOLE), (*KEYS, MARKER, MARKER), (KEYS[0], HOLE, MARKER)])
        self.low: Dict[TopicPartition, int] = {}  # the first offset that is there still
        self.damaged: Dict[TopicPartition, Tuple[int, float, bool]] = {}  # offset, until when, whether clients step over it
        for name in [*topics.partitions(), *topics.retries()]:
            oracle.keys[name] = []
            self.low[name] = 0
            oracle.begin(name, 0)
        for name in topics.partitions():
            self.append(name, chance.randint(0, 12))

    def append(self, name: TopicPartition, count: int) -> None:
        """Messages are produced."""
        self.oracle.keys[name] += [self.chance.choice(self._kinds) for _ in range(count)]

    def sent_on(self, origin: Id, topic: str, key: bytes, headers: Headers) -> None:
        """A message is produced to a retry topic, by which it is another one."""
        name = (topic, self.chance.randrange(RETRIES))
        self.oracle.keys[name].append(key)
        task = self.oracle.place(name, len(self.oracle.keys[name]) - 1)
        self.headers[task] = list(headers)
        self.oracle.delayed(task, origin, int(dict(headers)["retry.due-at"]) / 1000)

    def refuses(self, topic: str, now: float) -> Optional[KafkaError]:
        """Why it stores nothing there."""
        until, code = self._refuses.get(topic.split(".")[-2 if ".retry." in topic else -1], (0.0, 0))
        return KafkaError(code) if now < until else None

    def happens(self, what: str, now: float) -> None:
        """To one of its partitions, whoever has it, or to all of it."""
        seconds = self.chance.choice([1.0, 8.0, 40.0])
        if what == "away":
            self.away_until = now + seconds
        elif what == "down":
            self.down_until = now + seconds
        elif what == "refuses":
            codes = [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.MSG_SIZE_TOO_LARGE]
            self._refuses[self.chance.choice(["dlq", "dlq", "retry", RESULTS])] = (now + seconds, self.chance.choice(codes))
        else:
            self._happens(what, now)

    def _happens(self, what: str, now: float) -> None:
        name = self.chance.choice(self.topics.partitions() if what == "more" else list(self.oracle.keys))
        keys = self.oracle.keys[name]
        if what == "more":
            self.append(name, self.chance.randint(1, 6))
        elif self._made:
            pass  # in a topic made anew both could hide that offsets go back
        elif what == "retention":
            self.low[name] = self.chance.randint(self.low[name], len(keys))
            keys[: self.low[name]] = [HOLE] * self.low[name]
        elif what == "damage":  # of what is there, or of what comes
            offset = self.chance.randint(max(self.low[name], len(keys) - 6), len(keys) + 3)
            self.damaged[name] = (offset, now + self.chance.choice([2.0, 8.0, 30.0]), self.chance.random() < 0.5)

    def made_anew(self) -> None:
        """The topics are deleted, and others of their names take their places. The broker forgets what was committed of
        them. Not with retry topics: an empty one looks like the former, where no ids are told."""
        self._made += 1
        for name in list(self.oracle.keys):
            self.oracle.keys[name] = []
            self.low[name] = 0
            self.damaged.pop(name, None)
            self.append(name, self.chance.randint(1, 12))
            self.oracle.keys[name][0] = KEYS[0]  # by which it is seen, where no ids are told: offsets go back
            self.group.pop(name, None)
            self.oracle.begin(name, 0)

    def home(self) -> Home:
        """What it tells of the topic."""
        return Home("c" * 16, f"{self._made:016x}") if self.tells_ids else UNKNOWN

    def group_deleted(self) -> None:
        """On purpose: everything is to run again."""
        self.group.clear()
        for name in self.oracle.keys:
            self.oracle.begin(name, 0)

    def reset(self) -> None:
        """An operator sets the group's offsets, while nobody is in it."""
        for name, keys in self.oracle.keys.items():
            offset = self.chance.choice([0, 0, self.chance.randint(0, len(keys))])
            self.group[name] = (offset, "")
            self.oracle.begin(name, offset)

    def held(self, name: TopicPartition) -> Set[int]:
        """The offsets that the broker knows as done."""
        offset, metadata = self.group.get(name, (0, ""))
        return {*range(offset), *self._mapped(offset, metadata)} if self._of_this_topic(metadata) else set()

    def store(self, name: TopicPartition, offset: int, metadata: Optional[str]) -> None:
        """A commit."""
        self.group[name] = (offset, metadata or "")
        if self._of_this_topic(metadata):
            self.oracle.committed(name, offset, self._mapped(offset, metadata))

    def _of_this_topic(self, metadata: Optional[str]) -> bool:
        """Not, when it names another: whoever reads it does not believe it."""
        carried = decode(metadata)
        return carried is None or not carried.home.differs(self.home())

    def _mapped(self, offset: int, metadata: Optional[str]) -> List[int]:
        carried = decode(metadata)
        done = carried.done if carried is not None and carried.base == offset else []
        return [each for first, behind in done for each in range(first, behind)]

    def elsewhere(self, name: TopicPartition, now: float) -> None:
        """Another member of the group has the partition, and does some of it."""
        if name in self.pending:
            return  # it waits for what is committed
        self._others += 1
        held, keys = self.held(name), self.oracle.keys[name]
        first = self.oracle.now(name).first
        gaps = {offset for offset in range(len(keys)) if keys[offset] in (HOLE, MARKER)}
        begin = max(first, self.group.get(name, (0, ""))[0])
        todo = [offset for offset in range(begin, len(keys)) if offset not in held | gaps]
        ran = set(todo[: self.chance.randint(0, 4)])
        for offset in ran:
            self.oracle.outcome(self.oracle.place(name, offset), now, remembered=False)
        done = held | ran
        target = min([offset for offset in range(first, len(keys)) if offset not in done | gaps], default=len(keys))
        beyond = [(offset, offset + 1) for offset in sorted(done) if offset >= target]
        self.store(name, target, encode(f"{self._others:08x}", self.home(), target, _joined(beyond)))

    def settled(self) -> bool:
        """Whether everything has its outcome, and is committed."""
        committed = {name: self.group.get(name, (0, ""))[0] for name in self.oracle.keys}
        return not self.oracle.missing() and all(
            key in (HOLE, MARKER) for name, offset in committed.items() for key in self.oracle.keys[name][offset:]
        )

    def writer(self, name: TopicPartition) -> str:
        """Who committed last."""
        carried = decode(self.group.get(name, (0, ""))[1])
        return carried.writer if carried is not None else ""


def _joined(ranges: List[Tuple[int, int]]) -> List[Tuple[int, int]]:
    out: List[Tuple[int, int]] = []
    for first, behind in ranges:
        if out and out[-1][1] == first:
            out[-1] = (out[-1][0], behind)
        else:
            out.append((first, behind))
    return out
