"""Kafka, as far as a handler's test needs one: topics in memory, the one member of the group that reads them, and a producer
that stores at once. They stand where the service has `kafka.consumer.GroupConsumer` and the client's `Producer`."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from kafka_worker.kafka.brokers import Brokers
from kafka_worker.kafka.ends import End
from kafka_worker.kafka.listener import RebalanceListener
from kafka_worker.kafka.tokens import SigningIn
from kafka_worker.partitions.stored import Home
from kafka_worker.shared import routes
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.ipc.snapshot import TopicPartition
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system.deadline import Deadline

LOOK_SECONDS = 0.0005  # for a handler thread to come to rest, at most, before the consumer thread turns again
NOTHING = -1001  # is committed

Headers = List[Tuple[str, Optional[bytes]]]


class StoredMessage:
    """Answers like a message of the client."""

    def __init__(
        self, place: Tuple[str, int, int], key: Optional[bytes], value: Optional[bytes], headers: Headers, timestamp: int
    ) -> None:
        """`place`: topic, partition, offset; `timestamp`: milliseconds since 1970."""
        self.place = place
        self._key, self._value, self._headers, self._timestamp = key, value, headers, timestamp

    def topic(self) -> str:
        """The topic."""
        return self.place[0]

    def partition(self) -> int:
        """The number of the partition."""
        return self.place[1]

    def offset(self) -> int:
        """The offset in the partition."""
        return self.place[2]

    def key(self) -> Optional[bytes]:
        """The key."""
        return self._key

    def value(self) -> Optional[bytes]:
        """The value; None: a tombstone."""
        return self._value

    def headers(self) -> Optional[Headers]:
        """The headers; None, as the client says it, when there are none."""
        return self._headers or None

    def set_headers(self, headers: Headers) -> None:
        """Give it others."""
        self._headers = headers

    def timestamp(self) -> Tuple[int, int]:
        """The kind of the timestamp, and its milliseconds."""
        return 1, self._timestamp

    def error(self) -> None:
        """It is a message."""

    def __len__(self) -> int:
        """The bytes of the value."""
        return len(self._value or b"")


class Topics:
    """All that is stored. A topic is there as soon as something is put into it."""

    def __init__(self) -> None:
        """Nothing is."""
        self.stored: Dict[TopicPartition, List[StoredMessage]] = {}

    def put(
        self,
        name: TopicPartition,
        key: Optional[bytes],
        value: Optional[bytes],
        headers: Headers,
        timestamp: int = 0,
    ) -> StoredMessage:
        """Store a message; `timestamp`: 0 means now."""
        messages = self.stored.setdefault(name, [])
        stored = StoredMessage((*name, len(messages)), key, value, headers, timestamp or round(time.time() * 1000))
        messages.append(stored)
        return stored

    def newest(self, name: TopicPartition) -> StoredMessage:
        """What was stored last."""
        return self.stored[name][-1]


class Producer:
    """Stores at once, and says so when it is asked."""

    def __init__(self, topics: Topics) -> None:
        """Nothing is sent yet."""
        self._topics = topics
        self._answers: List[Callable[[Any, Any], None]] = []

    def produce(
        self,
        topic: str,
        *,
        key: Optional[bytes],
        value: Optional[bytes],
        headers: Any,
        timestamp: int,
        on_delivery: Callable[[Any, Any], None],
    ) -> None:
        """Store a record."""
        plain = [(name, each.encode() if isinstance(each, str) else each) for name, each in headers]
        self._topics.put((topic, 0), key, value, plain, timestamp)
        self._answers.append(on_delivery)

    def poll(self, _timeout: float) -> None:
        """Say what is stored."""
        answers, self._answers = self._answers, []
        for answer in answers:
            answer(None, None)


class _Unknown:
    """What a broker tells that tells neither ids nor ends."""

    unanswered = False  # nobody was asked

    def ask(self, _topics: Iterable[str]) -> None:
        """Nobody answers."""

    def answer(self, _patience: float = 0.0) -> Optional[Dict[str, Home]]:
        """Nothing."""

    def of(
        self, _: Iterable[TopicPartition], _now: float, _seldom: Iterable[TopicPartition] = ()
    ) -> Dict[TopicPartition, End]:
        """No ends."""
        return {}


class Member:
    """The only member of the group, to which each partition is given as soon as something is in it."""

    def __init__(self, settings: Settings, stored: Topics, idle: threading.Event, listener: RebalanceListener) -> None:
        """`idle` is set by handler threads that find nothing to do."""
        self._settings = settings
        self._topics = stored
        self._idle = idle
        self._listener = listener
        self._next: Dict[TopicPartition, int] = {}  # offset, of those that are ours
        self._paused: List[TopicPartition] = []
        self._committed: Dict[TopicPartition, Tuple[int, str]] = {}
        self._unanswered: List[List[Tuple[str, int, int]]] = []
        self.ids = self.ends = _Unknown()
        self.joined, self.away, self.lost = True, False, False
        self.ending: Optional[ExitCode] = None
        self.unsettled_at: Optional[float] = None
        self.signing_in = SigningIn(None, time.monotonic)
        self.brokers = Brokers(time.monotonic)
        self.emptied = True  # nothing is left that the last fetch could have taken

    def fetch(self, most: int, timeout: float) -> List[Any]:
        """Up to `most` messages. Where there are none, waits a moment for handler threads."""
        answers, self._unanswered = self._unanswered, []
        for places in answers:
            self._listener.on_committed(places)
        new = self._new()
        if new:
            self._next.update(dict.fromkeys(new, 0))
            self._listener.on_assigned(new)
        waiting = self._waiting()
        self.emptied = len(waiting) <= most
        for message in waiting[:most]:
            self._next[message.place[:2]] = message.offset() + 1
        if not waiting:
            self._idle.wait(min(timeout, LOOK_SECONDS))
        return waiting[:most]

    def _waiting(self) -> List[StoredMessage]:
        readable = [name for name in self._next if name not in self._paused]
        return [message for name in readable for message in self._topics.stored.get(name, [])[self._next[name] :]]

    @property
    def has_more(self) -> bool:
        """Whether the next fetch gives something."""
        return bool(self._waiting() or self._new())

    def _new(self) -> List[TopicPartition]:
        consumed = routes.consumed(self._settings, {topic for topic, _ in self._topics.stored})
        return [name for name in self._topics.stored if name not in self._next and name[0] in consumed]

    def commit(self, offsets: List[Tuple[str, int, int, str]]) -> bool:
        """Store a commit; the answer comes with the next fetch."""
        self._committed.update({(topic, number): (offset, text) for topic, number, offset, text in offsets})
        self._unanswered.append([(topic, number, offset) for topic, number, offset, _ in offsets])
        return True

    def committed(self, names: Iterable[TopicPartition], _timeout: float) -> Dict[TopicPartition, Tuple[int, Optional[str]]]:
        """What is committed."""
        return {name: self._committed.get(name, (NOTHING, None)) for name in names}

    def positions(self, names: Iterable[TopicPartition]) -> Dict[TopicPartition, int]:
        """The offset behind the last one delivered."""
        return {name: self._next[name] for name in names}

    def end(self, name: TopicPartition) -> int:
        """Behind the last message."""
        return len(self._topics.stored[name])

    def rewind(self, name: TopicPartition, offset: int = 0, *, when_resumed: bool = False) -> None:  # noqa: ARG002
        """Read from this offset on."""
        self._next[name] = max(0, offset)

    def pause_from_the_start(self, names: List[TopicPartition]) -> None:
        """Likewise."""
        self.pause(names)

    def pause(self, names: List[TopicPartition]) -> None:
        """Give no more of these."""
        self._paused += [name for name in names if name not in self._paused]

    def resume(self, names: List[TopicPartition]) -> None:
        """Give of these again."""
        self._paused = [name for name in self._paused if name not in names]

    def is_heard(self, _seconds: float) -> bool:
        """As of a group's member."""
        return True

    def leave(self, _deadline: Deadline) -> bool:
        """Nobody else is in the group."""
        return True

    def close(self) -> None:
        """Nothing to close."""
