"""How far the client has read of each partition that is assigned, and what it delivers next: messages, and its word that there
is no more, or that it can't read on. That word waits with the messages, so it may be old when it is heard; a pause, a seek or
an assignment makes it void, and it is said anew.
"""

from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Set, Union

from confluent_kafka import KafkaError

from tests.simulation.broker import NOTHING, Broker, Message
from tests.simulation.oracle import HOLE, MARKER, TopicPartition

AGAIN_SECONDS = 0.5  # between two tries of the client's own to read what is damaged


class Word(NamedTuple):
    """A message that is none."""

    name: TopicPartition
    at: int
    code: int

    def topic(self) -> str:
        return self.name[0]

    def partition(self) -> int:
        return self.name[1]

    def offset(self) -> int:
        return self.at

    def error(self) -> KafkaError:
        return KafkaError(self.code)


Delivered = Union[Message, Word]


class Fetching:
    """That of one client."""

    def __init__(self, broker: Broker, clock: Callable[[], float]) -> None:
        """Nothing is assigned."""
        self._broker = broker
        self._keys = broker.oracle.keys
        self._clock = clock
        self.next: Dict[TopicPartition, int] = {}  # what is assigned, and what is fetched next of it
        self.position: Dict[TopicPartition, int] = {}
        self.begins_at: Dict[TopicPartition, float] = {}  # what is just assigned: when the client has begun to fetch it
        self.paused: Set[TopicPartition] = set()
        self.waits: Set[TopicPartition] = set()  # until a transaction with offsets of it is over
        self._end: Dict[TopicPartition, int] = {}  # that was fetched, and not told yet
        self._told: Dict[TopicPartition, int] = {}  # and that was
        self._again: Dict[TopicPartition, float] = {}  # when what could not be read is tried again

    def begin(self, name: TopicPartition, offset: int) -> None:
        """Read it from there on; negative, or beyond its end: from its beginning."""
        self.next[name] = offset if 0 <= offset <= len(self._keys[name]) else 0
        self.position[name] = NOTHING
        self.anew(name)

    @property
    def _away(self) -> bool:
        return self._clock() < self._broker.away_until

    def forget(self, name: TopicPartition) -> None:
        """It is assigned no more."""
        del self.next[name], self.position[name]
        self.waits.discard(name)

    def anew(self, name: TopicPartition) -> None:
        """Words that were not heard are void."""
        for words in (self._end, self._told, self._again):
            words.pop(name, None)

    def look(self) -> None:
        """Fetch, as far as it matters: the ends that are reached."""
        if self._away:
            return
        for name in self.waits - self._broker.pending:
            self.begin(name, self._broker.group.get(name, (0, ""))[0])
        self.waits &= self._broker.pending
        for name in self.next:
            at = self.next[name] = max(self.next[name], self._broker.low[name])
            if name not in self.paused and self.has_begun(name) and at == len(self._keys[name]) != self._told.get(name):
                self._end[name] = at

    def ready(self) -> List[TopicPartition]:
        """Partitions of which something would be delivered."""
        if self._away:
            return []
        names = [name for name in self.next if name not in self.paused | self.waits and self.has_begun(name)]
        return [name for name in names if self._is_ready(name, self.next[name])]

    def has_begun(self, name: TopicPartition) -> bool:
        """Whether it is fetched; before that the client does not take orders for it, either."""
        return not self._away and self._clock() >= self.begins_at.get(name, 0.0)

    def _is_ready(self, name: TopicPartition, at: int) -> bool:
        if self._again.get(name, 0.0) > self._clock():
            return False
        return at < len(self._keys[name]) or self._end.get(name, at) == at != self._told.get(name)

    def read(self, name: TopicPartition, most: int) -> List[Delivered]:
        """The next of it, so many offsets at most."""
        keys, at = self._keys[name], self.next[name]
        out: List[Delivered] = []
        damaged, until, steps_over = self._broker.damaged.get(name, (-1, 0.0, False))
        for offset in range(at, min(at + most, len(keys))):
            if offset == damaged and self._clock() < until:
                out.append(Word(name, offset, KafkaError._BAD_MSG))
                if not steps_over:
                    self._again[name] = self._clock() + AGAIN_SECONDS
                    break
            elif keys[offset] != HOLE:
                self.position[name] = offset + 1
                if keys[offset] != MARKER:
                    task = self._broker.oracle.place(name, offset)
                    out.append(Message(task, keys[offset], self._broker.headers.get(task, [])))
            at = offset + 1
        self.next[name] = at
        if self._end.get(name) == at != self._told.get(name) and len(out) < most:
            self._told[name] = at
            out.append(Word(name, at, KafkaError._PARTITION_EOF))
        return out
